from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from feature_store.settings import Settings, load_settings

from .store import Server, Store


@pytest.fixture
def settings(dsn: str, s3: Server) -> Settings:
    """A bucket of its own, not made yet."""
    return Settings(
        FEATURE_STORE_POSTGRES_DSN=dsn,
        FEATURE_STORE_HOME=s3.s3.home,
        FEATURE_STORE_PORT_S3=s3.s3.port,
        FEATURE_STORE_EXPORT_S3_URI=f"s3://test-{uuid4().hex[:12]}",
    )


@pytest.fixture
def store(db: psycopg.Connection, settings: Settings, s3: Server) -> Store:
    """A store with nothing in it; its bucket is set up."""
    store = Store(db, settings, s3)
    store.set_up()
    return store


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
