"""`python -m feature_store.serving.api` serves the REST API."""

import sys

from feature_store.errors import FeatureStoreError
from feature_store.serving.api.server import serve

if __name__ == "__main__":  # its workers import this file too
    try:
        serve()
    except FeatureStoreError as error:
        sys.exit(f"{type(error).__name__}: {error}")
