import pytest

from feature_store.catalog import FeatureSpec, load_catalog
from tests.quality import WALCL


@pytest.fixture(scope="session")
def feature() -> FeatureSpec:
    """A feature of the shipped catalog, to give other shapes to."""
    return load_catalog().feature(WALCL)
