"""A lazy table reads what a statement needs, and never less."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.serving.lazy import MOST_SPANS, LazyTable, Scan, Span

moment = pc.field("ts")
SCHEMA = pa.schema(
    [("feature_id", pa.string()), ("ts", pa.timestamp("us", "UTC")), ("day", pa.date32()), ("value", pa.float64())]
)
instants = st.integers(-80 * 365, 140 * 365).map(lambda days: datetime(1970, 1, 1, 7, tzinfo=UTC) + timedelta(days))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("admitted", "spans"),
    [
        (moment == at("2024-05-29 12:00"), [("2024-05-29", "2024-05-30")]),
        ((moment >= at("2024-05-01")) & (moment < at("2024-06-01")), [("2024-05-01", "2024-06-01")]),
        (moment > at("2024-05-01 03:00"), [("2024-05-01", None)]),
        (moment < at("1850-01-01"), [(None, "1900-01-01")]),
        (
            (moment == at("2020-01-01")) | (moment >= at("2024-01-01")),
            [("2020-01-01", "2020-01-02"), ("2024-01-01", None)],
        ),
        ((moment == at("2020-01-01")) | (pc.field("value") > 1), [(None, None)]),
        ((moment > at("2020-01-01")) & (moment < at("2019-01-01")), []),
        (pc.field("value") > 1, [(None, None)]),
    ],
)
def test_a_filter_bounds_the_days_that_are_read(admitted: pc.Expression, spans: list[tuple[str | None, ...]]) -> None:
    found = Scan(SCHEMA, ["value"], admitted).spans("ts")
    assert found == [tuple(edge and at(edge) for edge in span) for span in spans]


def test_a_filter_that_a_null_may_pass_bounds_nothing() -> None:
    day = pc.field("day") > date(2024, 1, 1)
    assert Scan(SCHEMA, ["value"], day).spans("day") == [(at("2024-01-01"), None)]
    assert Scan(SCHEMA, ["value"], day | pc.field("day").is_null()).spans("day") == [(None, None)]


def test_many_days_are_read_as_few_spans() -> None:
    days = [at("2000-01-01") + timedelta(days=90 * number) for number in range(100)]
    spans = Scan(SCHEMA, ["value"], moment.isin(days)).spans("ts")
    assert len(spans) <= MOST_SPANS
    assert all(covered(spans, day) for day in days)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(instants, instants), min_size=1, max_size=6), instants)
def test_no_row_that_a_filter_admits_is_left_out(ranges: list[tuple[datetime, datetime]], ts: datetime) -> None:
    admitted = pc.scalar(False)
    for since, until in ranges:
        admitted = admitted | ((moment >= since) & (moment < until)) | (moment == until)
    rows = pa.table({"feature_id": ["a"], "ts": pa.array([ts], SCHEMA.field("ts").type)})
    spans = Scan(SCHEMA, ["ts"], admitted).spans("ts")
    assert covered(spans, ts) or not rows.filter(admitted).num_rows
    assert all(covered(spans, until) for _, until in ranges)


def covered(spans: list[Span], ts: datetime) -> bool:
    return any((since is None or since <= ts) and (until is None or ts < until) for since, until in spans)


def test_columns_of_the_filter_are_read_and_others_are_not() -> None:
    scan = Scan(SCHEMA, ["value"], (moment > at("2024-01-01")) & (pc.field("feature_id") == "a"))
    assert scan.columns == ["feature_id", "ts", "value"]
    assert scan.values("feature_id", ["a", "b"]) == ["a"]
    assert scan.values("day", ["a", "b"]) == ["a", "b"]


def test_a_statement_reads_columns_features_and_days_that_it_needs_until_it_has_enough() -> None:
    scans: list[Scan] = []
    batches: list[int] = []

    def read(scan: Scan) -> Iterator[pa.RecordBatch]:
        scans.append(scan)
        for number in range(1000):
            batches.append(number)
            moments = pa.array([at("2024-01-01") + timedelta(days=number)] * 4096, SCHEMA.field("ts").type)
            rows = {"feature_id": ["a", "b"] * 2048, "ts": moments, "day": moments.cast(pa.date32())}
            yield pa.record_batch({**rows, "value": pa.array([float(number)] * 4096)})

    with duckdb.connect() as duck:
        duck.execute("set timezone = 'UTC'")
        duck.register("t", LazyTable(SCHEMA, read))
        query = "select sum(value) from t where feature_id in ('a', 'c') and ts between '2024-01-11' and '2024-01-12'"
        assert duck.sql(query).to_arrow_table()[0].to_pylist() == [2048 * 21.0]
        [scan] = scans
        assert list(scan.asked) == ["value"]
        assert scan.columns == ["feature_id", "ts", "value"]
        assert scan.values("feature_id", ["a", "b", "c"]) == ["a", "c"]
        assert scan.spans("ts") == [(at("2024-01-11"), at("2024-01-13"))]
        batches.clear()
        assert duck.sql("select value from t limit 1").to_arrow_table().num_rows == 1
        assert len(batches) < 100
