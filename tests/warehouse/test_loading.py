"""When a value was available, decided once at loading: DESIGN's table against the loader, over random histories."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.catalog.contracts import AfterRule, SeriesSpec, Tail
from feature_store.sources.contract import Payload, Row
from feature_store.warehouse.landing import Place, land
from feature_store.warehouse.loading import Counts, load
from feature_store.warehouse.reading import read

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
             reading int not null default 0, xid xid8 not null default pg_current_xact_id(),
             unique (series, ts, fetch_id, reading))"""
    )
    db.commit()
    return db


def fetch(conn: psycopg.Connection, fetched_at: datetime, spec: SeriesSpec, rows: Sequence[Row]) -> Counts:
    payload = Payload("points", "http://x/points", {}, 200, "text/plain", repr(rows).encode(), 1, fetched_at)
    fetch_id = land(conn, PLACE, "S", payload, "test")
    return load(conn, PLACE, spec, [read(spec, "UTC", fetch_id, rows)])


def reread(conn: psycopg.Connection, spec: SeriesSpec, fetch_id: int, rows: Sequence[Row]) -> Counts:
    return load(conn, PLACE, spec, [read(spec, "UTC", fetch_id, rows)], is_rereading=True)


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
    counts = fetch(table, RELEASED, series("never"), [row(3.0, TS + DAY), row(1.0), row(2.0)])
    assert counts == Counts(fetched=1, rejected=1)
    assert stored(table) == []
    ((rule, reason),) = table.execute("select rule, reason from raw.rejects").fetchall()
    assert rule == "unreadable_answer"
    assert "gives S at 2024-03-01" in reason
    assert "twice" in reason


def test_a_row_repeated_within_an_answer_is_a_duplicate(table: psycopg.Connection) -> None:
    assert fetch(table, RELEASED, series("never"), [row(1.0), row(1.0)]) == Counts(2, 1, 1, 0)


def test_the_absence_of_a_row_withdraws_nothing(table: psycopg.Connection) -> None:
    fetch(table, RELEASED, series("never"), [row(1.0), row(2.0, TS + DAY)])
    fetch(table, RELEASED + DAY, series("never"), [row(2.0, TS + DAY)])
    assert [value for value, *_ in stored(table)][:1] == [1.0]
    fetch(table, RELEASED + 2 * DAY, series("never"), [row(None)])
    assert stored(table)[-1] == (None, RELEASED + 2 * DAY, "ingested", False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fetches=st.lists(
        st.tuples(st.integers(0, 200), st.dictionaries(st.integers(0, 2), st.sampled_from([None, 1.0, 2.0]))),
        min_size=2,
        max_size=8,
    ),
    cut=st.integers(0, 8),
)
def test_answers_loaded_together_end_as_answers_loaded_one_by_one(
    table: psycopg.Connection, fetches: list[tuple[int, dict[int, float | None]]], cut: int
) -> None:
    spec = series(Tail(tail=3))
    lived = [
        (TS + timedelta(hours=hours), [row(value, TS + day * DAY) for day, value in values.items()])
        for hours, values in sorted(fetches, key=lambda f: f[0])
    ]

    def ended(together: bool) -> tuple[list[object], list[object]]:
        table.execute("truncate raw.test_points, raw.fetches, raw.payloads, raw.rejects restart identity cascade")
        ids = [
            land(table, PLACE, "S", Payload("points", "x", {}, 200, "text/plain", str(at).encode(), 1, at), "test")
            for at, _ in lived
        ]
        answers = [read(spec, "UTC", fetch_id, rows) for fetch_id, (_, rows) in zip(ids, lived, strict=True)]
        for batch in (answers[:cut], answers[cut:]) if together else [[answer] for answer in answers]:
            load(table, PLACE, spec, batch)
        rows = table.execute(
            """select ts, value, fetch_id, available_at, available_basis, is_provisional, reading
               from raw.test_points order by ts, fetch_id"""
        ).fetchall()
        counts = table.execute(
            "select fetch_id, outcome, rows_fetched, rows_loaded, rows_duplicate from raw.fetches order by fetch_id"
        ).fetchall()
        table.commit()
        return rows, counts

    assert ended(together=True) == ended(together=False)


def readings(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    return conn.execute(
        "select fetch_id, reading, value::float8, available_at, available_basis from raw.test_points order by 1, ts, 2"
    ).fetchall()


def test_a_better_reading_keeps_the_times_and_becomes_the_next_reading(table: psycopg.Connection) -> None:
    spec = series("deep")
    fetch(table, RELEASED + timedelta(hours=1), spec, [row(1.0)])
    fetch(table, RELEASED + 5 * DAY, spec, [row(2.0)])
    first, second = [fetch_id for fetch_id, *_ in readings(table)]
    assert reread(table, spec, first, [row(10.0)]) == Counts(1, 1, 0, 0)
    assert readings(table) == [
        (first, 0, 1.0, RELEASED, "schedule"),
        (first, 1, 10.0, RELEASED, "schedule"),
        (second, 0, 2.0, RELEASED + 5 * DAY, "ingested"),
    ]
    assert reread(table, spec, first, [row(10.0)]) == Counts(1, 0, 1, 0), "read alike again, it adds nothing"
    assert reread(table, spec, first, [row(1.0)]) == Counts(1, 1, 0, 0), "and back again is a third reading"


def test_rereading_alike_changes_neither_rows_nor_the_counts_of_the_fetch(table: psycopg.Connection) -> None:
    spec = series("never")
    fetch(table, RELEASED, spec, [row(1.0), row(2.0, TS + DAY)])
    before = readings(table)
    counted = "select fetch_id, rows_fetched, rows_loaded, rows_duplicate, rows_rejected from raw.fetches"
    counts = table.execute(counted).fetchall()
    assert reread(table, spec, counts[0][0], [row(1.0), row(2.0, TS + DAY)]) == Counts(2, 0, 2, 0)
    assert readings(table) == before
    assert table.execute(counted).fetchall() == counts


def test_what_a_better_reading_does_not_say_any_more_is_taken_back(table: psycopg.Connection) -> None:
    spec = series("never")
    fetch(table, RELEASED, spec, [row(1.0), row(2.0, TS + DAY)])
    fetch_id = readings(table)[0][0]
    assert isinstance(fetch_id, int)
    reread(table, spec, fetch_id, [row(1.0)])
    taken = [reading for reading in readings(table) if reading[1] == 1]
    assert [(value, basis) for _, _, value, _, basis in taken] == [(None, "ingested")]
    reread(table, spec, fetch_id, [])
    assert len(readings(table)) == 4
    reread(table, spec, fetch_id, [])
    assert len(readings(table)) == 4, "what is taken back is not taken back twice"


def test_an_unreadable_answer_that_is_read_at_last_settles_its_reject(table: psycopg.Connection) -> None:
    spec = series("never")
    fetch(table, RELEASED, spec, [row(1.0), row(2.0)])
    (fetch_id,) = table.execute("select fetch_id from raw.fetches").fetchone() or (0,)
    reread(table, spec, fetch_id, [row(1.0), row(2.0)])
    open_rejects = "select count(*) from raw.rejects where resolved_at is null"
    assert table.execute(open_rejects).fetchone() == (1,), "rejected twice is one reject"
    assert reread(table, spec, fetch_id, [row(1.0)]) == Counts(1, 1, 0, 0)
    assert table.execute(open_rejects).fetchone() == (0,)
    assert table.execute("select outcome, reason, rows_loaded, rows_rejected from raw.fetches").fetchone() == (
        "loaded", None, 1, 0,
    )  # fmt: skip


def test_the_other_answers_of_a_batch_are_loaded_when_one_cannot_be_read(table: psycopg.Connection) -> None:
    spec = series("never")
    ids = [
        land(table, PLACE, "S", Payload("points", "x", {}, 200, "text/plain", bytes([n]), 1, RELEASED), "test")
        for n in range(3)
    ]

    def broken() -> Iterator[Row]:
        yield row(1.0)
        raise KeyError("value")

    answers = [
        read(spec, "UTC", ids[0], [row(1.0)]),
        read(spec, "UTC", ids[1], broken()),
        read(spec, "UTC", ids[2], [row(2.0, TS + DAY)]),
    ]
    assert load(table, PLACE, spec, answers) == Counts(3, 2, 0, 1)
    assert "unexpected shape: KeyError('value')" in str(answers[1].error)
    assert [value for _, _, value, *_ in readings(table)] == [1.0, 2.0]
    assert table.execute("select array_agg(outcome order by fetch_id) from raw.fetches").fetchone() == (
        ["loaded", "rejected", "loaded"],
    )
