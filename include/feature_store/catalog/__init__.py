"""The catalog: what the sources, streams and features are, read from `include/catalog/*.yaml`."""

from feature_store.catalog.contracts import FeatureSpec, SeriesSpec, Source, Stream, TimeRules, normal_unit
from feature_store.catalog.load import Catalog, load_catalog

__all__ = [
    "Catalog",
    "FeatureSpec",
    "SeriesSpec",
    "Source",
    "Stream",
    "TimeRules",
    "load_catalog",
    "normal_unit",
]
