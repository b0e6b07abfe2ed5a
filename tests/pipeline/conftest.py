from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from feature_store.catalog.sync import sync
from feature_store.pipeline.transform import transform
from feature_store.settings import Settings
from tests.conftest import database

from .store import Store, open_store, shipped

NAME = "pipeline"
"""dbt bakes the database's name into its parsed project, so every test's database has the same."""


@pytest.fixture(scope="package", autouse=True)
def _flags_without_a_source() -> Iterator[None]:
    """Each start of dbt looks through the whole stack for who declared a flag: long under pytest."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("dbt_common.behavior_flags.BehaviorFlagRendered._default_source", lambda *_: "dbt")
        yield


@pytest.fixture(scope="session")
def stocked(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database with the shipped catalog and dbt's models in it, to copy from."""
    with ExitStack() as kept:
        with database(server, NAME, template) as dsn:
            with psycopg.connect(dsn) as conn:
                sync(conn, shipped())
                home = tmp_path_factory.mktemp("stocked")
                settings = Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=home)
                transform(conn, shipped(), settings, "stocked")
            kept.enter_context(database(server, "stocked", NAME))
        yield "stocked"


@pytest.fixture
def dsn(server: str, stocked: str) -> Iterator[str]:
    """A database with the shipped catalog and no data."""
    with database(server, NAME, stocked) as dsn:
        yield dsn


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[Store]:
    """A store with the shipped catalog, nothing in it and nothing served yet."""
    with open_store(dsn, tmp_path, shipped()) as store:
        yield store
