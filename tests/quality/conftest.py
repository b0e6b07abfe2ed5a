"""Candidates as dbt builds them, in a migrated database, and a state directory of the test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from feature_store import clock
from feature_store.catalog import Catalog, load_catalog
from feature_store.quality import vendored
from feature_store.quality.vendored import PACKAGES
from tests.quality import NOW, RRP, TGA, WALCL

Put = Callable[..., None]

_COLUMNS = """
  feature_id text, version int, grain text, ts timestamptz, value double precision, available_at timestamptz,
  available_basis text, is_provisional boolean, confidence double precision, meta jsonb, evidence jsonb
"""


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The shipped catalog."""
    return load_catalog()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "var"


@pytest.fixture
def conn(db: psycopg.Connection) -> psycopg.Connection:
    """A connection to a store whose clock stands still and whose candidates are empty."""
    db.execute(f"create table features.candidates ({_COLUMNS})")
    db.commit()
    clock.freeze(db, NOW)
    return db


@pytest.fixture
def put(conn: psycopg.Connection) -> Put:
    """Add a candidate: WALCL of 3 January 2024, unless told otherwise."""

    def add(**given: Any) -> None:
        row = {
            "feature_id": WALCL, "version": 1, "grain": "daily", "ts": "2024-01-03T00:00:00Z", "value": 7.7e12,
            "available_at": "2024-01-04T21:30:00Z", "available_basis": "vintage", "is_provisional": False,
            "confidence": 0.9, "meta": {}, "evidence": [{"fetch": 1}],
        } | given  # fmt: skip
        values = [Jsonb(value) if isinstance(value, dict | list) else value for value in row.values()]
        conn.execute(
            f"insert into features.candidates ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})", values
        )
        conn.commit()

    return add


@pytest.fixture
def sound(put: Put) -> Put:
    """Two sound candidates of other features are there already."""
    put(feature_id=TGA, value=7.5e11)
    put(feature_id=RRP, value=6.5e11)
    return put


@pytest.fixture
def assets(home: Path) -> Path:
    """The assets as if they had been fetched."""
    folder = home / "quality" / "assets" / vendored._stamp()
    for package in PACKAGES:
        for name in package.files:
            (folder / package.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / package.folder / name).write_text("/* */")
    return folder
