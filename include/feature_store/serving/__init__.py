"""How features are read: the point-in-time join. Pure functions over Arrow and numpy, no database and no files."""

from feature_store.serving.steps import COLUMNS, Steps
from feature_store.serving.timing import open_age, valid_at

__all__ = ["COLUMNS", "Steps", "open_age", "valid_at"]
