"""The features whose numbers come from given streams alone."""

from collections.abc import Iterable

from feature_store.catalog import Catalog
from feature_store.warehouse.exposures import lineage


def features_of(catalog: Catalog, streams: Iterable[tuple[str, str]]) -> list[str]:
    """The ids of the features, derived ones among them, that no other stream has a part in."""
    models = {f"points_{slug}__{stream}" for slug, stream in streams}
    return [
        name
        for name, feature in catalog.features.items()
        if {model for model in lineage(catalog, feature) if model.startswith("points_")} <= models
    ]
