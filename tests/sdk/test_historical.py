"""The point-in-time join through the client, from every form of a spine."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feature_store_client import InvalidRequest, Progress, backfilled_share

from tests.api.served import LIQUIDITY, NOW, PRICE, VIX, Served

from .conftest import Ask, blocking

AT = [NOW - timedelta(minutes=90), NOW - timedelta(minutes=30), NOW + timedelta(minutes=1)]
NAIVE = datetime(2024, 5, 29)  # noqa: DTZ001 - what is to be refused


def _table(at: list[datetime]) -> pa.Table:
    return pa.table({"at": pa.array(at, pa.timestamp("us", "UTC"))})


def test_rows_are_what_the_query_layer_joins(ask: Ask, store: Served) -> None:
    rows = ask("historical", AT, [PRICE, VIX], max_age=timedelta(days=10))
    joined = store.layer.historical(_table(AT), [PRICE, VIX], max_age=timedelta(days=10))
    assert [row.values for row in rows] == joined.select([PRICE, VIX]).to_pylist()
    assert [row.at for row in rows] == AT
    assert rows[0].as_of is None
    assert rows[0].points is None
    assert rows.backfilled_share == {PRICE: 0.0, VIX: 1.0}


def test_detail_tells_which_point_each_value_is_of(ask: Ask) -> None:
    [row] = ask("historical", AT[:1], [PRICE, LIQUIDITY, VIX], detail=True, max_age={VIX: "P10D"})
    assert row.points is not None
    assert row.points[PRICE].ts == AT[0] - timedelta(minutes=1)
    assert row.points[PRICE].valid_at == AT[0]
    assert row.points[LIQUIDITY].available_basis == "schedule"
    assert row.points[VIX] is None
    assert row.values[VIX] is None


@pytest.mark.parametrize(
    "spine",
    [
        [each.isoformat() for each in AT],
        _table(AT),
        _table(AT).to_batches()[0],
        pa.array(AT, pa.timestamp("ns", "America/New_York")),
        pd.DatetimeIndex(AT),
        pd.Series(AT),
        pd.DataFrame({"at": AT}),
        (pd.Timestamp(each) for each in AT),
    ],
    ids=lambda spine: type(spine).__name__,
)
def test_a_spine_comes_in_any_form(store: Served, spine: Any) -> None:
    rows = blocking(store.url, store.key, "historical", spine, PRICE)
    assert [row.at for row in rows] == AT
    assert [row.values[PRICE] for row in rows] == [67_029.1, 67_059.1, 67_059.1]


def test_each_row_may_ask_what_was_known_at_another_instant(ask: Ask) -> None:
    at = NOW - timedelta(hours=2) + timedelta(minutes=6)
    spine = pd.DataFrame({"at": [at, at], "as_of": [NOW - timedelta(hours=1), NOW]})
    rows = ask("historical", spine, PRICE)
    assert [(row.as_of, row.values[PRICE]) for row in rows] == [
        (NOW - timedelta(hours=1), 67_005.1),
        (NOW, 1.5),
    ]


def test_a_frame_keeps_its_index_and_its_columns(ask: Ask) -> None:
    spine = pd.DataFrame({"at": AT, "label": ["a", "b", "c"]}, index=[7, 8, 9])
    frame = ask("historical_pandas", spine, [PRICE, VIX])
    assert list(frame.columns) == ["at", "label", PRICE, VIX]
    assert list(frame.index) == [7, 8, 9]
    assert list(frame[PRICE]) == [67_029.1, 67_059.1, 67_059.1]
    assert frame.attrs["backfilled_share"] == {PRICE: 0.0, VIX: 1.0}
    assert list(ask("historical_pandas", AT, PRICE).columns) == ["at", PRICE]


def test_a_long_spine_goes_in_parts(ask: Ask) -> None:
    spine = _table([NOW - timedelta(seconds=number) for number in range(120_000)])
    told: list[Progress] = []
    table = ask("historical_arrow", spine, [PRICE, VIX], progress=told.append)
    assert table["at"].equals(spine["at"])
    assert [each.rows for each in told] == [50_000, 100_000, 120_000]
    assert told[-1].share == 1.0
    known = table[PRICE].is_valid().to_pylist()
    assert known.count(True) == 7141, "from the end of the first minute on"
    assert backfilled_share(table) == {PRICE: 0.0, VIX: 1.0}


def test_an_empty_spine_is_an_empty_answer(ask: Ask) -> None:
    assert ask("historical", [], PRICE) == []
    assert list(ask("historical_pandas", [], [PRICE, VIX]).columns) == ["at", PRICE, VIX]


@pytest.mark.parametrize(
    ("spine", "words"),
    [
        ([NAIVE], r"spine\[0\] is 2024-05-29 00:00:00, which names no time zone"),
        ([NOW, date(2024, 5, 29)], r"spine\[1\] is .* a day is no instant"),
        ([None], "None"),
        (pd.DatetimeIndex([NAIVE]), "tz_localize"),
        (pd.DataFrame({"day": [NOW]}), "no column `at`"),
        (pa.table({"at": ["2024"]}), "no timestamps"),
        ("2024-05-29", "a spine is"),
    ],
)
def test_a_spine_that_makes_no_sense_is_refused_before_it_is_sent(ask: Ask, spine: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        ask("historical", spine, VIX)


def test_a_duration_of_a_part_of_a_second_is_refused(ask: Ask) -> None:
    with pytest.raises(InvalidRequest, match="max_age"):
        ask("historical", [NOW.astimezone(UTC)], VIX, max_age=timedelta(milliseconds=1))
