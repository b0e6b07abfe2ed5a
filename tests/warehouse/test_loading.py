"""When a value was available, decided once at loading: DESIGN's table against the loader, over random histories."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.catalog.contracts import AfterRule, SeriesSpec, Tail
from feature_store.errors import Malformed
from feature_store.sources.contract import Payload, Row
from feature_store.warehouse.landing import Counts, Place, land, load

DAY = timedelta(days=1)
TS = datetime(2024, 3, 1, tzinfo=UTC)
PLACE = Place("test", "points", "UTC")
RELEASED = TS + 2 * DAY
"""Daily points are released a day after their day is over."""

Stored = tuple[float | None, datetime, str, bool]


def series(revises: str | Tail) -> SeriesSpec:
    return SeriesSpec(
        name="S",
        source_slug="test",
        stream="points",
        units=(),
        feature_ids=(),
        calendar="24x7",
        label="start",
        period="P1D",
        release=AfterRule(after="valid_at", delay="P1D"),
        revises=revises,
        provisional="none",
    )


@pytest.fixture
def table(db: psycopg.Connection) -> psycopg.Connection:
    """A raw table of a stream without vintages."""
    db.execute(
        """create table raw.test_points (
             series text not null, ts timestamptz not null, value numeric,
             fetch_id bigint not null references raw.fetches, fetched_at timestamptz not null,
             available_at timestamptz not null, available_basis text not null, is_provisional boolean not null,
             unique (series, ts, fetch_id))"""
    )
    db.commit()
    return db


def fetch(conn: psycopg.Connection, fetched_at: datetime, spec: SeriesSpec, rows: Sequence[Row]) -> Counts:
    payload = Payload("points", "http://x/points", {}, 200, "text/plain", repr(rows).encode(), 1)
    fetch_id = land(conn, PLACE, payload, fetched_at, "test")
    return load(conn, PLACE, spec, fetch_id, rows)


def row(value: float | None, ts: datetime = TS) -> Row:
    return Row("S", ts, {"value": None if value is None else Decimal(str(value))})


def stored(conn: psycopg.Connection) -> list[Stored]:
    return [
        (None if value is None else float(value), at, basis, provisional)
        for value, at, basis, provisional in conn.execute(
            "select value, available_at, available_basis, is_provisional from raw.test_points order by fetch_id"
        )
    ]


def expected(fetches: Sequence[tuple[datetime, float | None]], settled_until: datetime) -> list[Stored]:
    """DESIGN section 6, row by row."""
    rows: list[Stored] = []
    for fetched_at, value in fetches:
        is_provisional = fetched_at < RELEASED
        if rows and (rows[-1][0], rows[-1][3]) == (value, is_provisional):
            continue
        is_first = not any(not provisional for *_, provisional in rows)
        if is_provisional:
            rows.append((value, fetched_at, "ingested", True))
        elif is_first:
            rows.append((value, RELEASED, "schedule" if fetched_at <= settled_until else "backfilled", False))
        else:
            rows.append((value, fetched_at, "ingested", False))
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fetches=st.lists(st.tuples(st.integers(0, 200), st.sampled_from([None, 1.0, 2.0])), min_size=1, max_size=8),
    revises=st.sampled_from(["never", "deep", Tail(tail=3)]),
)
def test_availability_follows_the_table(
    table: psycopg.Connection, fetches: list[tuple[int, float | None]], revises: str | Tail
) -> None:
    table.execute("truncate raw.test_points")
    table.commit()
    lived = [(TS + timedelta(hours=hours), value) for hours, value in sorted(fetches, key=lambda f: f[0])]
    spec = series(revises)
    for fetched_at, value in lived:
        counts = fetch(table, fetched_at, spec, [row(value)])
        assert counts.fetched == counts.loaded + counts.duplicate
    settled = {"never": datetime.max.replace(tzinfo=UTC), "deep": RELEASED + DAY}
    assert stored(table) == expected(lived, settled.get(str(revises), RELEASED + 3 * DAY))


def test_a_value_that_reverts_is_a_third_version(table: psycopg.Connection) -> None:
    for hours, value in ((50, 1.0), (51, 1.0), (60, 2.0), (70, 1.0)):
        fetch(table, TS + timedelta(hours=hours), series("deep"), [row(value)])
    assert [value for value, *_ in stored(table)] == [1.0, 2.0, 1.0]


def test_the_final_value_is_written_even_when_the_provisional_one_was_equal(
    table: psycopg.Connection,
) -> None:
    fetch(table, TS + timedelta(hours=30), series("never"), [row(1.0)])
    fetch(table, TS + timedelta(hours=49), series("never"), [row(1.0)])
    assert stored(table) == [
        (1.0, TS + timedelta(hours=30), "ingested", True),
        (1.0, RELEASED, "schedule", False),
    ]


def test_one_answer_that_contradicts_itself_is_rejected_whole(table: psycopg.Connection) -> None:
    with pytest.raises(Malformed, match=r"gives S at 2024-03-01.* twice"):
        fetch(table, RELEASED, series("never"), [row(3.0, TS + DAY), row(1.0), row(2.0)])
    assert stored(table) == []
    rejects = table.execute("select rule, reason from raw.rejects").fetchall()
    assert len(rejects) == 1


def test_a_row_repeated_within_an_answer_is_a_duplicate(table: psycopg.Connection) -> None:
    assert fetch(table, RELEASED, series("never"), [row(1.0), row(1.0)]) == Counts(2, 1, 1, 0)


def test_the_absence_of_a_row_withdraws_nothing(table: psycopg.Connection) -> None:
    fetch(table, RELEASED, series("never"), [row(1.0), row(2.0, TS + DAY)])
    fetch(table, RELEASED + DAY, series("never"), [row(2.0, TS + DAY)])
    assert [value for value, *_ in stored(table)][:1] == [1.0]
    fetch(table, RELEASED + 2 * DAY, series("never"), [row(None)])
    assert stored(table)[-1] == (None, RELEASED + 2 * DAY, "ingested", False)
