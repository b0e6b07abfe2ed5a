from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import psycopg
import pytest

from feature_store.archive import set_up
from feature_store.catalog import Catalog, FeatureSpec, load_catalog
from feature_store.settings import Settings
from tests.archive.store import Server
from tests.conftest import database
from tests.quality import WALCL

from .store import Store, Truth

FreshStore = Callable[[Catalog], AbstractContextManager[Store]]


@pytest.fixture(scope="session")
def feature() -> FeatureSpec:
    """A feature of the shipped catalog, to give other shapes to."""
    return load_catalog().feature(WALCL)


@pytest.fixture
def fresh_store(server: str, template: str, s3: Server) -> FreshStore:
    """Makes empty stores, each with a database and a bucket of its own."""

    @contextmanager
    def fresh(catalog: Catalog) -> Iterator[Store]:
        name = uuid4().hex[:12]
        with database(server, f"test_{name}", template) as dsn, psycopg.connect(dsn, options="-c timezone=UTC") as conn:
            settings = Settings(
                FEATURE_STORE_POSTGRES_DSN=dsn,
                FEATURE_STORE_HOME=s3.s3.home,
                FEATURE_STORE_PORT_S3=s3.s3.port,
                FEATURE_STORE_EXPORT_S3_URI=f"s3://test-{name}",
            )
            set_up(settings)
            yield Store(conn, settings, catalog, Truth(catalog))

    return fresh
