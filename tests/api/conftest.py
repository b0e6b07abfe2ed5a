"""A store that is served: a database and a bucket of its own, keys, and the API as it is run, on a free port."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from feature_store.archive import set_up
from feature_store.catalog import load_catalog
from feature_store.settings import Settings
from tests.archive.store import Server
from tests.conftest import database

from .served import Served, served


@pytest.fixture(scope="module")
def store(server: str, template: str, s3_of_session: Server) -> Iterator[Served]:
    """A store with a few points of everything, for the tests of a module; they add to it and take nothing away."""
    s3_of_session.start()
    name = uuid4().hex[:12]
    with database(server, f"test_{name}", template) as dsn, psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        settings = settings_of(dsn, s3_of_session, name)
        set_up(settings)
        with served(conn, settings, load_catalog()) as store:
            store.fill()
            yield store


def settings_of(dsn: str, s3: Server, name: str, **more: object) -> Settings:
    return Settings(
        FEATURE_STORE_POSTGRES_DSN=dsn,
        FEATURE_STORE_HOME=s3.s3.home,
        FEATURE_STORE_PORT_S3=s3.s3.port,
        FEATURE_STORE_EXPORT_S3_URI=f"s3://test-{name}",
        **more,
    )
