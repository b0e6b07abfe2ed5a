"""One clock for SQL and Python: real, offset or frozen, and it never goes behind what was ingested."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from feature_store import clock
from feature_store.errors import ReplayError
from feature_store.settings import ROOT

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_it_is_real_until_it_is_set(db: psycopg.Connection) -> None:
    assert clock.show(db).mode == "real"
    assert abs(clock.now(db) - datetime.now(UTC)) < timedelta(minutes=1)


def test_frozen_it_stands_still_and_advances_by_hand(db: psycopg.Connection) -> None:
    clock.freeze(db, NOON)
    assert clock.now(db) == clock.now(db) == NOON
    clock.advance(db, timedelta(hours=1))
    assert clock.show(db) == clock.Clock("frozen", NOON + timedelta(hours=1))


def test_offset_it_runs_on_from_there(db: psycopg.Connection) -> None:
    clock.set_running(db, NOON)
    first = clock.now(db)
    assert NOON <= first < clock.now(db)
    clock.advance(db, timedelta(days=1))
    assert clock.now(db) > NOON + timedelta(days=1)


def test_it_outlives_the_connection(db: psycopg.Connection, dsn: str) -> None:
    clock.freeze(db, NOON)
    with psycopg.connect(dsn) as other:
        assert clock.now(other) == NOON


def test_it_never_goes_behind_what_was_ingested(db: psycopg.Connection) -> None:
    db.execute("insert into ops.feature_writes values ('f', %s)", (NOON,))
    db.commit()
    for back in (
        lambda: clock.freeze(db, NOON - timedelta(1)),
        lambda: clock.set_running(db, NOON - timedelta(1)),
    ):
        with pytest.raises(ReplayError, match="points were ingested at 2024-03-01"):
            back()
    with pytest.raises(ReplayError, match="only moves forward"):
        clock.advance(db, timedelta(seconds=-1))
    clock.release(db)
    assert clock.show(db).mode == "real"


# Real time is right where DESIGN says so: rate limits, time-outs, bookkeeping, screens.
REAL_TIME = {"clock.py", "0001_foundation.sql", "migrate.py", "http.py"}


@pytest.mark.parametrize("path", sorted((ROOT / "include" / "feature_store" / "warehouse").rglob("*.*")), ids=str)
def test_now_comes_from_the_clock_alone(path: Path) -> None:
    if path.suffix not in (".py", ".sql") or path.name in REAL_TIME:
        return
    asked = re.search(
        r"datetime\.(now|utcnow)|time\.time\(|(?<!ops\.)\bnow\(\)|clock_timestamp|current_timestamp",
        path.read_text(),
    )
    assert asked is None, f"{path.name} asks for {asked and asked.group()}: use clock.now() or ops.now()"
