from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from feature_store.archive import set_up
from feature_store.settings import Settings, load_settings
from tests.conftest import database

from .store import Server, Store, empty


@pytest.fixture
def settings(dsn: str, s3: Server) -> Settings:
    """A bucket of its own, not made yet."""
    return settings_of(dsn, s3, f"s3://test-{uuid4().hex[:12]}")


def settings_of(dsn: str, s3: Server, uri: str) -> Settings:
    return Settings(
        FEATURE_STORE_POSTGRES_DSN=dsn,
        FEATURE_STORE_HOME=s3.s3.home,
        FEATURE_STORE_PORT_S3=s3.s3.port,
        FEATURE_STORE_EXPORT_S3_URI=uri,
        FEATURE_STORE_RETENTION_DAYS=30,
    )


@pytest.fixture
def store(db: psycopg.Connection, settings: Settings, s3: Server) -> Store:
    """A store with nothing in it; its bucket is set up."""
    store = Store(db, settings, s3)
    store.set_up()
    return store


@pytest.fixture(scope="module")
def shared(server: str, template: str, s3_of_session: Server) -> Iterator[Settings]:
    """A database and a bucket for the tests of a module."""
    s3_of_session.start()
    uri = f"s3://test-{uuid4().hex[:12]}"
    with database(server, f"test_{uuid4().hex[:12]}", template) as dsn:
        settings = settings_of(dsn, s3_of_session, uri)
        set_up(settings)
        yield settings


@pytest.fixture
def archive(shared: Settings, s3: Server) -> Iterator[Store]:
    """A store with nothing in it: in the module's database, and in a folder of its own of the module's bucket."""
    with psycopg.connect(shared.postgres_dsn, options="-c timezone=UTC") as conn:
        empty(conn)
        uri = f"{shared.export_s3_uri}/{uuid4().hex[:12]}"
        yield Store(conn, settings_of(shared.postgres_dsn, s3, uri), s3)


@pytest.fixture
def stack_env(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The environment a command needs to find the store of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATURE_STORE_POSTGRES_DSN", settings.postgres_dsn)
    monkeypatch.setenv("FEATURE_STORE_HOME", str(settings.home))
    monkeypatch.setenv("FEATURE_STORE_PORT_S3", str(settings.port_s3))
    monkeypatch.setenv("FEATURE_STORE_EXPORT_S3_URI", settings.export_s3_uri)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()
