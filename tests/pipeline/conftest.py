from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from feature_store.catalog.sync import sync
from tests.conftest import database

from .store import Store, open_store, shipped

NAME = "pipeline"
"""dbt bakes the database's name into its parsed project, so every test's database has the same."""


@pytest.fixture(scope="session")
def stocked(server: str, template: str) -> Iterator[str]:
    """A migrated database with the shipped catalog in it, to copy from."""
    with database(server, "stocked", template) as dsn:
        with psycopg.connect(dsn) as conn:
            sync(conn, shipped())
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
