"""The one writer against a reference in plain Python: whatever is appended in whatever order, state is state."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store import clock

START = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)

Key = tuple[str, int, datetime]


@dataclass(frozen=True)
class Candidate:
    """One candidate: `ts` and `available_at` are days after START."""

    feature: str = "t/a"
    version: int = 1
    ts: int = 0
    available_at: int = 1
    value: float | None = 1.0

    def row(self) -> tuple[object, ...]:
        return (
            self.feature, self.version, "daily", START + self.ts * DAY, self.value, START + self.available_at * DAY,
            "vintage", False, 0.9, "{}", "[]",
        )  # fmt: skip


def append(conn: psycopg.Connection, candidates: Sequence[Candidate]) -> tuple[int, int]:
    """Append a batch in a transaction of its own: (inserted, duplicate)."""
    with conn.transaction():
        conn.execute("drop table if exists batch")
        conn.execute(
            """create temp table batch (feature_id text, version int, grain text, ts timestamptz,
                 value double precision, available_at timestamptz, available_basis text, is_provisional boolean,
                 confidence double precision, meta jsonb, evidence jsonb)"""
        )
        with conn.cursor().copy("copy batch from stdin") as copy:
            for candidate in candidates:
                copy.write_row(candidate.row())
        row = conn.execute("select inserted, duplicate from features.append_versions('batch')").fetchone()
    assert row is not None
    return row[0], row[1]


@dataclass
class Reference:
    """What the tables must hold: versions in order of arrival."""

    rows: list[tuple[Candidate, int]] = field(default_factory=list)

    def append(self, candidates: Sequence[Candidate], stamp: int) -> int:
        inserted = 0
        for candidate in candidates:
            held = [c for c, _ in self.rows if key(c) == key(candidate) and c.available_at == candidate.available_at]
            if not held or held[-1].value != candidate.value:
                self.rows.append((candidate, stamp))
                inserted += 1
        return inserted

    def state(self, known: float, stored: float) -> dict[Key, float | None]:
        best: dict[Key, tuple[int, int, float | None]] = {}
        for candidate, stamp in self.rows:
            if candidate.available_at <= known and stamp <= stored:
                entry = (candidate.available_at, stamp, candidate.value)
                best[key(candidate)] = max(best.get(key(candidate), entry), entry, key=lambda e: e[:2])
        return {k: entry[2] for k, entry in best.items()}


def key(candidate: Candidate) -> Key:
    return candidate.feature, candidate.version, START + candidate.ts * DAY


def as_of(conn: psycopg.Connection, known: datetime, stored: datetime) -> dict[Key, float | None]:
    rows = conn.execute("select feature_id, version, ts, value from features.as_of(%s, %s)", (known, stored))
    return {(f, v, ts): value for f, v, ts, value in rows}


def candidates() -> st.SearchStrategy[list[list[Candidate]]]:
    one = st.builds(
        Candidate,
        feature=st.sampled_from(["t/a", "t/b"]),
        ts=st.integers(0, 3),
        available_at=st.integers(3, 8),
        value=st.sampled_from([None, 1.0, 2.0]),
    )
    batch = st.lists(one, max_size=12, unique_by=lambda c: (c.feature, c.ts, c.available_at))
    return st.lists(batch, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=candidates(), known=st.integers(0, 9), stored=st.integers(0, 6))
def test_state_values_and_latest_follow_the_definition(
    db: psycopg.Connection, batches: list[list[Candidate]], known: int, stored: int
) -> None:
    empty(db)
    reference = Reference()
    for index, batch in enumerate(batches):
        clock.freeze(db, START + (100 + index) * DAY)
        inserted = reference.append(batch, index)
        assert append(db, batch) == (inserted, len(batch) - inserted)
        assert append(db, batch) == (0, len(batch)), "appending again writes nothing"

    assert as_of(db, START + known * DAY, START + (100 + stored) * DAY) == reference.state(known, stored)
    everything = {k: v for k, v in reference.state(99, 99).items() if v is not None}
    values = db.execute("select feature_id, version, ts, value from features.features_values").fetchall()
    assert {(f, v, ts): value for f, v, ts, value in values} == everything
    newest = {f: max(ts for g, _, ts in everything if g == f) for f in {f for f, _, _ in everything}}
    assert dict(db.execute("select feature_id, ts from features.latest_values").fetchall()) == newest


def empty(db: psycopg.Connection) -> None:
    db.execute(
        """truncate features.features_versions, features.features_values, features.latest_values,
             ops.feature_writes, ops.dirty_days"""
    )
    db.execute("update ops.clock set mode = 'real', frozen_at = null, shift = '0'")
    db.commit()


def test_two_corrections_at_a_frozen_instant_get_two_stamps(db: psycopg.Connection) -> None:
    clock.freeze(db, START + 10 * DAY)
    for value in (1.0, 2.0, 1.0):
        assert append(db, [Candidate(value=value)]) == (1, 0)
    rows = db.execute(
        "select value, correction, ingested_at from features.features_versions order by ingested_at"
    ).fetchall()
    assert [(value, correction) for value, correction, _ in rows] == [(1.0, 0), (2.0, 1), (1.0, 2)]
    assert len({stamp for *_, stamp in rows}) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(db: psycopg.Connection, value: float) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        append(db, [Candidate(value=value)])
    assert db.execute("select count(*) from features.features_versions").fetchone() == (0,)


def test_available_after_now_is_refused_with_the_row(db: psycopg.Connection) -> None:
    clock.freeze(db, START)
    with pytest.raises(psycopg.errors.RaiseException, match=r"t/a at 2024-03-01 .* available at 2024-03-06"):
        append(db, [Candidate(available_at=5)])


def test_dirty_days_are_the_days_that_changed(db: psycopg.Connection) -> None:
    append(db, [Candidate(ts=0), Candidate(ts=2)])
    append(db, [Candidate(ts=0)])
    days = db.execute("select day - '2024-03-01'::date from ops.dirty_days order by 1").fetchall()
    assert [day for (day,) in days] == [0, 2]


def test_a_newer_definition_replaces_values_and_leaves_versions(db: psycopg.Connection) -> None:
    append(db, [Candidate(ts=0, value=1.0), Candidate(ts=1, value=1.0)])
    append(db, [Candidate(ts=1, version=2, value=9.0)])
    assert db.execute("select value, version from features.features_values").fetchall() == [(9.0, 2)]
    assert db.execute("select value, version from features.latest_values").fetchall() == [(9.0, 2)]
    assert db.execute("select count(*) from features.features_versions").fetchone() == (3,)


def test_writers_at_once_append_each_version_once(db: psycopg.Connection, dsn: str) -> None:
    batch = [Candidate(ts=ts) for ts in range(200)]
    counts: list[int] = []

    def write() -> None:
        with psycopg.connect(dsn) as conn:
            counts.append(append(conn, batch)[0])

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 200]


def test_a_withdrawn_newest_point_gives_way_to_the_one_before(db: psycopg.Connection) -> None:
    append(db, [Candidate(ts=0, value=1.0), Candidate(ts=1, value=2.0)])
    append(db, [Candidate(ts=1, available_at=5, value=None)])
    assert db.execute("select ts, value from features.latest_values").fetchall() == [(START, 1.0)]


def test_partitions_are_made_where_points_fall(db: psycopg.Connection) -> None:
    db.execute("select features.ensure_partitions('daily', '2019-06-01', '2021-06-01')")
    db.execute("select features.ensure_partitions('intraday', '2024-02-28', '2024-03-01')")
    names = {name for (name,) in db.execute("select relname from pg_class where relispartition and relkind = 'r'")}
    assert {"features_versions_daily_2020", "features_values_intraday_20240229"} <= names
    assert len([name for name in names if "intraday" in name]) == 6
