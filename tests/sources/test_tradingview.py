"""Answers of UDF datafeeds, and every trap in them, through the connector alone."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from feature_store.catalog import load_catalog
from feature_store.errors import Malformed, Refused
from feature_store.sources import tradingview
from feature_store.sources.contract import Payload, Row, Window

DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=4, hours=15, minutes=7)


def seconds(instant: datetime) -> int:
    return round(instant.timestamp())


def bars(*days: datetime, **columns: Any) -> dict[str, Any]:
    """An answer with one bar for each day; a column that is None is left out."""
    filled = {name: [100 + at for at in range(len(days))] for name in "ohlcv"}
    said = {"t": [seconds(day) for day in days], **filled, "s": "ok", **columns}
    return {name: value for name, value in said.items() if value is not None}


def payload(content: Any, since: datetime = MONDAY, until: datetime = NOW, **params: str) -> Payload:
    asked = {"symbol": "SP:SPX", "resolution": "1D", "from": str(seconds(since)), "to": str(seconds(until)), **params}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Payload("history", "SETTING/history", asked, 200, "application/json", body, 1, NOW)


def read(content: Any, **asked: Any) -> list[Row]:
    return list(tradingview.parse(payload(content, **asked)))


class Feed:
    """Stands at the other end of `fetch`, and remembers the ranges it was asked for, in days after MONDAY."""

    def __init__(self, answer: Callable[[int, int], Any]) -> None:
        self.answer, self.asked = answer, list[tuple[float, float]]()

    def get(self, _: str, params: dict[str, str]) -> Payload:
        since, until = int(params["from"]), int(params["to"])
        self.asked.append(tuple((at - seconds(MONDAY)) / 86400 for at in (since, until)))  # type: ignore[arg-type]
        assert len(self.asked) < 50, "it asks for ever"
        return payload(self.answer(since, until), **params)


def fetched(answer: Callable[[int, int], Any], since: datetime | None = MONDAY, until: datetime = NOW) -> list[Row]:
    return rows_from(Feed(answer), since, until)


def rows_from(feed: Feed, since: datetime | None = MONDAY, until: datetime = NOW) -> list[Row]:
    series = load_catalog().series("tradingview", "history")[1]
    pages = tradingview.fetch(feed, series, Window(since, until))  # type: ignore[arg-type]
    return [row for page in pages for row in tradingview.parse(page)]


def served(days: list[datetime], most: int = 5000, includes_to: bool = False) -> Callable[[int, int], Any]:
    """A server of bars that gives at most so many, the newest."""

    def answer(since: int, until: int) -> Any:
        inside = [day for day in days if since <= seconds(day) < until + includes_to][-most:]
        earlier = [seconds(day) for day in days if seconds(day) < since]
        return bars(*inside) if inside else {"s": "no_data", "nextTime": earlier[-1] if earlier else None}

    return answer


WEEK = [MONDAY + at * DAY for at in range(5)]


def test_a_bar_is_dated_by_its_trading_day_and_keeps_its_digits() -> None:
    body = b'{"s":"ok","t":[%d],"o":[6850],"h":[6861.25],"l":[6840.5],"c":[6855.10],"v":[0]}' % seconds(MONDAY)
    (row,) = read(body)
    assert (row.series, row.ts) == ("SP:SPX", MONDAY)
    assert row.values == {
        "open": 6850, "high": Decimal("6861.25"), "low": Decimal("6840.5"), "close": Decimal("6855.10"), "volume": 0,
    }  # fmt: skip
    assert str(row.values["close"]) == "6855.10"


def test_a_column_that_the_feed_does_not_have_is_not_known() -> None:
    (row,) = read(bars(MONDAY, o=None, h=None, l=None, v=None))
    assert row.values == {"open": None, "high": None, "low": None, "close": 100, "volume": None}


def test_a_null_in_a_column_is_not_known() -> None:
    rows = read(bars(MONDAY, MONDAY + DAY, v=[None, 7]))
    assert [row.values["volume"] for row in rows] == [None, 7]


@pytest.mark.parametrize("column", list("ohlcv"))
def test_columns_of_unequal_length_are_malformed(column: str) -> None:
    with pytest.raises(Malformed, match=f"'{column}' does not have one cell"):
        read(bars(MONDAY, MONDAY + DAY, **{column: [1]}))


@pytest.mark.parametrize("cell", ["100.5", True, [], float("nan"), float("inf")])
def test_a_cell_that_is_no_number_is_malformed(cell: Any) -> None:
    with pytest.raises(Malformed, match="no number"):
        read(bars(MONDAY, c=[cell]))


def test_a_missing_close_is_malformed_and_an_unknown_column_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Malformed, match=r"lacks \['c'\]"):
        read(bars(MONDAY, c=None, close=[1]))
    assert len(read(bars(MONDAY, vwap=[1]))) == 1
    assert "unknown fields ['vwap']" in caplog.text


@pytest.mark.parametrize(
    "nothing",
    [
        {"s": "no_data"},
        {"s": "no_data", "nextTime": None},
        {"s": "no_data", "nextTime": 1522108800},
        {"t": [], "o": [], "h": [], "l": [], "c": [], "v": [], "s": "no_data"},
        {"s": "ok", "t": [], "o": [], "h": [], "l": [], "c": [], "v": []},
        {"s": "ok", "t": []},
    ],
    ids=["bare", "null", "earlier", "empty arrays", "ok with empty arrays", "ok with nothing else"],
)
def test_no_data_is_no_error_and_ends_the_fetching(nothing: dict[str, Any]) -> None:
    feed = Feed(lambda *_: nothing)
    assert rows_from(feed) == []
    assert len(feed.asked) == 1, "nothing is left from the start of the window on"


def test_after_no_data_it_goes_on_with_the_earlier_bar_that_is_named() -> None:
    def answer(since: int, until: int) -> Any:
        if until > seconds(MONDAY + DAY) + 1:
            return {"s": "no_data", "nextTime": seconds(MONDAY + DAY)}
        return served(WEEK[:2])(since, until)

    assert [row.ts for row in fetched(answer)] == WEEK[:2]


def test_an_earlier_bar_before_the_window_is_not_asked_for() -> None:
    feed = Feed(served([MONDAY - 9 * DAY]))
    assert rows_from(feed) == []
    assert len(feed.asked) == 1


def test_an_earlier_bar_that_is_not_earlier_is_no_endless_loop() -> None:
    for named in (seconds(NOW), seconds(NOW + DAY), seconds(MONDAY)):
        feed = Feed(lambda *_, named=named: {"s": "no_data", "nextTime": named})
        with pytest.raises(Malformed, match="nothing earlier"):
            rows_from(feed)
        assert len(feed.asked) <= 2


@pytest.mark.parametrize("most", [1, 2, 5000])
@pytest.mark.parametrize("includes_to", [False, True])
def test_pages_go_back_where_a_server_limits_its_answers(most: int, includes_to: bool) -> None:
    found = sorted(row.ts for row in fetched(served(WEEK, most, includes_to)))
    assert found == WEEK, "each once"


def test_a_server_that_ignores_the_end_is_malformed_and_no_endless_loop() -> None:
    with pytest.raises(Malformed, match="was from or to ignored"):
        fetched(lambda since, _: served(WEEK, 2)(since, seconds(NOW)))


def test_bars_that_were_not_asked_for_are_malformed() -> None:
    for late, early in ((MONDAY + DAY, False), (MONDAY - DAY, True)):
        with pytest.raises(Malformed, match="was from or to ignored"):
            read(bars(late), **({"since": MONDAY} if early else {"until": MONDAY + DAY / 2}))


def test_the_first_day_of_a_window_is_asked_for_whole_and_its_end_is_now() -> None:
    feed = Feed(served(WEEK))
    rows = rows_from(feed, since=MONDAY + DAY / 2)
    assert feed.asked[0] == (0, (NOW - MONDAY) / DAY)
    assert [row.ts for row in rows] == WEEK


def test_without_a_start_it_goes_back_to_the_beginning() -> None:
    long_ago = [datetime(1970, 1, 5, tzinfo=UTC), *WEEK]
    assert sorted(row.ts for row in fetched(served(long_ago), since=None)) == long_ago


def test_an_error_is_refused_in_its_own_words_and_lands_as_a_failure() -> None:
    with pytest.raises(Refused, match=r"SETTING/history was refused: Invalid request\.Invalid Resolution\.") as caught:
        fetched(lambda *_: {"s": "error", "errmsg": "Invalid request.Invalid Resolution."})
    assert caught.value.payload is not None
    with pytest.raises(Refused, match="no reason given"):
        fetched(lambda *_: {"s": "error"})


@pytest.mark.parametrize("content", [[], {}, {"s": "ok"}, {"s": "fine", "t": []}, {"s": "no_data", "t": [1]}, None])
def test_an_answer_without_status_or_times_is_malformed(content: Any) -> None:
    with pytest.raises(Malformed):
        read(content)


def test_a_page_in_place_of_json_comes_with_its_error() -> None:
    html = payload(b"<html>no</html>")

    class Portal:
        def get(self, *_: object) -> Payload:
            return html

    series = load_catalog().series("tradingview", "history")[1]
    pages = tradingview.fetch(Portal(), series, Window(MONDAY, NOW))  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="HTML") as error:
        next(pages)
    assert error.value.payload is html


@pytest.mark.parametrize("days", [[1, 0], [0, 0]], ids=["unsorted", "twice"])
def test_bars_out_of_order_are_malformed(days: list[int]) -> None:
    with pytest.raises(Malformed, match="out of order"):
        read(bars(*(WEEK[at] for at in days)))


def test_milliseconds_are_told_by_their_magnitude() -> None:
    def answer(since: int, until: int) -> Any:
        said = served(WEEK, 2)(since, until)
        if "t" in said:
            said["t"] = [at * 1000 for at in said["t"]]
        return said

    assert sorted(row.ts for row in fetched(answer)) == WEEK
    assert fetched(lambda *_: {"s": "no_data", "nextTime": seconds(MONDAY - DAY) * 1000}) == []


@pytest.mark.parametrize("stamped", [timedelta(hours=5), timedelta(hours=13, minutes=30), timedelta(hours=14.5)])
def test_a_bar_that_is_stamped_with_new_yorks_midnight_or_open_is_of_that_day(stamped: timedelta) -> None:
    (row,) = read(bars(MONDAY + stamped))
    assert row.ts == MONDAY


@pytest.mark.parametrize("stamped", [timedelta(hours=15), timedelta(hours=21), timedelta(hours=23)])
def test_a_bar_that_is_stamped_in_the_evening_belongs_to_no_certain_day(stamped: timedelta) -> None:
    with pytest.raises(Malformed, match="no certain day"):
        read(bars(MONDAY + stamped))


@pytest.mark.parametrize("time", ["1772409600", 1772409600.5, True, None])
def test_a_time_that_is_no_integer_is_malformed(time: Any) -> None:
    with pytest.raises(Malformed, match="no time"):
        read(bars(MONDAY, t=[time]))
