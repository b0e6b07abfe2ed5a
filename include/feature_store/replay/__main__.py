"""`python -m feature_store.replay` serves the configured folder."""

import sys

from feature_store.errors import FeatureStoreError
from feature_store.replay.server import serve

try:
    serve()
except FeatureStoreError as error:
    sys.exit(f"{type(error).__name__}: {error}")
