"""Reading: one query layer over hot and archive."""

from feature_store.serving.join import BACKFILLED
from feature_store.serving.query import QueryLayer, backfilled_share

__all__ = ["BACKFILLED", "QueryLayer", "backfilled_share"]
