"""Partitions: made and filled without a reader or another writer noticing, and only those are read that are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest

from feature_store.warehouse.partitions import make_ahead

Connection = psycopg.Connection[Any]

START = datetime(2022, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MAKERS = "select from pg_locks where not granted and locktype = 'advisory'"


@contextmanager
def session(dsn: str, **limits: str) -> Iterator[Connection]:
    """A connection of its own that gives up instead of waiting."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        for name, limit in limits.items():
            conn.execute(f"set {name} = '{limit}'".encode())
        conn.commit()
        yield conn


def candidates(conn: Connection, feature: str, first: datetime, days: int, grain: str = "intraday") -> None:
    """The relation `batch`: one candidate a day."""
    conn.execute("drop view if exists pg_temp.batch")
    statement = f"""create temp view batch as
        select '{feature}'::text as feature_id, 1 as version, '{grain}'::text as grain, ts, 1.0::float8 as value,
               ts + interval '1 hour' as available_at, 'schedule'::text as available_basis, false as is_provisional,
               0.9::float8 as confidence, '{{}}'::jsonb as meta, '[]'::jsonb as evidence
        from generate_series('{first}'::timestamptz, '{first + (days - 1) * DAY}', interval '1 day') as ts"""
    conn.execute(statement.encode())


def append(conn: Connection, feature: str, first: datetime, days: int = 1, grain: str = "intraday") -> int:
    """Append a point a day in the open transaction; returns how many were new."""
    candidates(conn, feature, first, days, grain)
    row = conn.execute("select inserted from features.append_versions('batch')").fetchone()
    assert row is not None
    return int(row[0])


def count(conn: Connection) -> int:
    """The points a reader sees, in both tables alike."""
    row = conn.execute(
        "select (select count(*) from features.features_versions), (select count(*) from features.features_values)"
    ).fetchone()
    assert row is not None
    assert row[0] == row[1]
    return int(row[0])


def test_an_open_reader_and_a_writer_that_makes_partitions_do_not_wait_for_each_other(db: Connection, dsn: str) -> None:
    append(db, "t/a", START)
    db.commit()
    with session(dsn, statement_timeout="5s") as reader, session(dsn, lock_timeout="1s") as writer:
        assert count(reader) == 1
        append(writer, "t/a", START + DAY, days=3)
        append(writer, "t/d", START - 800 * DAY, days=3, grain="daily")
        assert count(reader) == 1, "read while the writer's transaction is open, by a reader from before"
        with session(dsn, statement_timeout="5s") as newcomer:
            assert count(newcomer) == 1, "by a reader that arrives now"
        writer.commit()
        assert count(reader) == 7


def test_a_retired_snapshot_still_reads_what_it_saw(db: Connection, dsn: str) -> None:
    append(db, "t/a", START)
    db.commit()
    with session(dsn, statement_timeout="5s") as reader, session(dsn, lock_timeout="1s") as writer:
        reader.execute("set transaction isolation level repeatable read")
        assert count(reader) == 1
        append(writer, "t/a", START + DAY, days=3)
        writer.commit()
        assert count(reader) == 1


def test_a_writer_locks_the_partitions_of_its_own_rows_only(db: Connection) -> None:
    append(db, "t/a", START, days=40)
    append(db, "t/d", START, days=1000, grain="daily")
    db.commit()
    append(db, "t/a", START + 39 * DAY + timedelta(hours=1))
    append(db, "t/a", START + 39 * DAY + timedelta(hours=2))
    locked = {
        name
        for (name,) in db.execute(
            """select relname from pg_locks join pg_class on pg_class.oid = relation
               where pid = pg_backend_pid() and relispartition and relkind = 'r'"""
        )
    }
    assert locked == {"features_versions_intraday_20220409", "features_values_intraday_20220409"}


@pytest.mark.parametrize("apart", [0, 5], ids=["same days", "other days"])
def test_two_writers_that_make_partitions_at_once_both_succeed(db: Connection, dsn: str, apart: int) -> None:
    append(db, "t/a", START, days=3)
    written: list[int] = []

    def write() -> None:
        with session(dsn) as other:
            written.append(append(other, "t/b", START + apart * DAY, days=3))

    second = Thread(target=write)
    second.start()
    with psycopg.connect(dsn, autocommit=True) as watch:
        while watch.execute(MAKERS).fetchone() is None:
            assert second.is_alive(), "it waits for the first in the queue of makers, not for the table itself"
    db.commit()
    second.join()
    assert written == [3]
    assert count(db) == 6


def test_a_locked_table_is_an_error_that_names_who_and_the_next_try_succeeds(db: Connection, dsn: str) -> None:
    with session(dsn) as holder, session(dsn, lock_timeout="100ms") as writer:
        holder.execute("lock table features.features_values_daily in share update exclusive mode")
        with pytest.raises(
            psycopg.errors.LockNotAvailable,
            match=rf"partition features_values_daily_2022 could not be attached: features.features_values_daily "
            rf"stayed locked by session {holder.info.backend_pid}",
        ):
            append(writer, "t/d", START, grain="daily")
        writer.rollback()
        holder.rollback()
        assert append(writer, "t/d", START, grain="daily") == 1
        writer.commit()
    assert count(db) == 1


def test_making_partitions_leaves_the_sessions_patience_as_it_was(db: Connection) -> None:
    for patience in ("0", "700ms"):
        db.execute(f"set lock_timeout = '{patience}'".encode())
        db.execute("select features.ensure_partitions('daily', %s, %s)", (START, START))
        assert db.execute("show lock_timeout").fetchone() == (patience,)
        db.execute("drop table features.features_values_daily_2022, features.features_versions_daily_2022")


def test_nothing_fills_a_default_partition(db: Connection) -> None:
    make_ahead(db, days=2)
    assert db.execute("select partrelid::regclass from pg_partitioned_table where partdefid <> 0").fetchall() == []
    with pytest.raises(psycopg.errors.CheckViolation, match="no partition of relation"):
        db.execute(
            """insert into features.features_values values
                 ('t/a', 'intraday', '1999-01-01', 1, 1, false, now(), 'schedule', now(), '{}', '[]', 1)"""
        )


def test_an_instant_without_a_date_has_no_partition(db: Connection) -> None:
    candidates(db, "t/a", START, days=1)
    db.execute("create temp table timeless as select * from batch")
    db.execute("update timeless set ts = '-infinity'")
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow, match="no partition reaches from -infinity"):
        db.execute("select features.append_versions('timeless')")


@pytest.mark.parametrize(
    "relation",
    [
        "features.features_versions",
        "features.features_values",
        "features.as_of('2022-06-01')",
        "features.as_stored('2099-01-01')",
        "features.as_of('2022-06-01', '2099-01-01')",
    ],
)
def test_a_day_is_read_from_its_partitions_alone(db: Connection, relation: str) -> None:
    append(db, "t/a", START, days=40)
    append(db, "t/d", START - 1000 * DAY, days=1000, grain="daily")
    table = "features_values" if relation == "features.features_values" else "features_versions"
    day = "feature_id = 't/a' and ts >= '2022-03-05' and ts < '2022-03-06'"
    assessed = {"confidence"} if "as_" in relation else set()
    partitions = {f"{table}_intraday_20220305", f"{table}_daily_2022"}
    assert scanned(db, f"select * from {relation} where {day}") == partitions | assessed


def test_the_grain_leaves_the_other_grains_partitions_out(db: Connection) -> None:
    append(db, "t/a", START, days=3)
    append(db, "t/d", START, days=800, grain="daily")
    for table in ("features_versions", "features_values"):
        found = scanned(
            db,
            f"""select * from features.{table}
                where feature_id = 't/d' and grain = 'daily' and ts between '2023-02-01' and '2023-03-01'""",
        )
        assert found == {f"{table}_daily_2023"}


def partitions(db: Connection) -> set[str]:
    """The names of all partitions that hold rows, or may."""
    return {name for (name,) in db.execute("select relname from pg_class where relispartition and relkind = 'r'")}


def scanned(db: Connection, query: str) -> set[str]:
    """The tables that the planner's plan reads."""
    row = db.execute(f"explain (format json) {query}".encode()).fetchone()
    assert row is not None
    return {node["Relation Name"] for node in nodes(row[0][0]["Plan"]) if "Relation Name" in node}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def test_partitions_are_made_ahead_in_short_transactions(db: Connection) -> None:
    assert make_ahead(db, days=2) == 2 * (3 + 2)
    assert make_ahead(db, days=2) == 0
    db.execute(
        """create table features.in_the_way (like features.features_versions_intraday including all);
           alter table features.features_versions_intraday attach partition features.in_the_way
             for values from (current_date + 35) to (current_date + 36)"""
    )
    db.commit()
    with pytest.raises(psycopg.errors.InvalidObjectDefinition, match="would overlap"):
        make_ahead(db, days=40)
    db.rollback()
    days = [name for name in partitions(db) if name.startswith("features_values_intraday")]
    assert len(days) == 31, "what was made before stays"


def test_slices_hold_every_candidate_once_the_newest_first(db: Connection) -> None:
    candidates(db, "t/a", START, days=70)
    db.execute("create temp table everything as select * from batch")
    candidates(db, "t/d", START - 40 * 365 * DAY, days=40 * 365, grain="daily")
    db.execute("insert into everything select * from batch")
    slices = db.execute("select condition from features.slices('everything') order by slice").fetchall()
    held = []
    for (condition,) in slices:
        query = f"select grain, min(ts)::date::text, count(*) from everything where {condition} group by 1 order by 1"
        held.append(db.execute(query.encode()).fetchall())
    assert held == [
        [("daily", "1992-01-01", 11017), ("intraday", "2022-04-09", 31)],
        [("daily", "1982-03-11", 3583), ("intraday", "2022-03-09", 31)],
        [("intraday", "2022-03-01", 8)],
    ]


def test_a_usual_run_is_one_slice(db: Connection) -> None:
    candidates(db, "t/a", START, days=31)
    assert db.execute("select count(*) from features.slices('batch')").fetchone() == (1,)
    db.execute("create temp table nothing as select * from batch limit 0")
    assert db.execute("select count(*) from features.slices('nothing')").fetchone() == (0,)
