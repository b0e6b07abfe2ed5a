"""Binance's answers, and every trap in them, through the connector alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused, Retriable
from feature_store.sources import binance, binance_ticker
from feature_store.sources.contract import Block, Payload, Row, Window

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ASKED = {"symbol": "BTCUSDT", "startTime": "0", "endTime": "9000000000000000", "limit": "1000"}


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def candle(opened: datetime = NOON, **cells: Any) -> list[Any]:
    names = ["opened", "open", "high", "low", "close", "volume", "closes", "quote", "trades", "tb", "tq", "unused"]
    row = [
        ms(opened), "100.50000000", "101.00000000", "99.00000000", "100.00000000", "3.25000000",
        ms(opened + MINUTE) - 1, "325.50000000", 7, "1.00000000", "100.00000000", "0",
    ]  # fmt: skip
    for name, value in cells.items():
        row[names.index(name)] = value
    return row


def payload(endpoint: str, content: Any, status: int = 200, **params: str) -> Payload:
    asked = {**ASKED, "interval": "1m", **params}
    body = json.dumps(content).encode()
    return Payload(endpoint, f"http://x/{endpoint}", asked, status, "application/json", body, 1, NOON)


def rows_of(answer: Payload) -> list[Row]:
    return [row for item in binance.parse(answer) for row in (item.rows() if isinstance(item, Block) else [item])]


def klines(*rows: list[Any], **params: str) -> list[Row]:
    return rows_of(payload(binance.KLINES, list(rows), **params))


def funding(*rows: dict[str, Any]) -> list[Row]:
    return rows_of(payload(binance.FUNDING, list(rows)))


def settlement(**changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "fundingTime": ms(NOON), "fundingRate": "0.00010000", "markPrice": "100.10000000"}
    return {name: value for name, value in {**row, **changes}.items() if value is not None}


def ticker(**changes: Any) -> dict[str, Any]:
    prices = dict.fromkeys(binance_ticker.NUMBERS, "1.50000000")
    row = {"symbol": "BTCUSDT", **prices, "openTime": ms(NOON) - 86_400_000, "closeTime": ms(NOON) + 17}
    return {**row, "firstId": 1, "lastId": 9, "count": 9, **changes}


def test_a_candle_keeps_the_exact_digits_and_its_open_time() -> None:
    (row,) = klines(candle())
    assert (row.series, row.ts) == ("BTCUSDT", NOON)
    assert row.values["close"] == "100.00000000"
    assert row.values["quote_volume"] == "325.50000000"
    assert row.values["trades"] == 7
    assert row.values["close_time"] == NOON + MINUTE - timedelta(milliseconds=1)


def test_instants_may_be_in_microseconds() -> None:
    row = candle()
    row[0], row[6] = row[0] * 1000, row[6] * 1000 + 999
    (read,) = klines(row, endTime=str(ms(NOON + MINUTE)))
    assert read.ts == NOON


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"close": "NaN"}, "decimals"),
        ({"volume": "1,000.0"}, "decimals"),
        ({"volume": ""}, "decimals"),
        ({"closes": str(ms(NOON))}, "integer milliseconds"),
        ({"trades": "7"}, "no integer"),
        ({"high": "99.50000000"}, "contradict"),
        ({"low": "0.00000000"}, "contradict"),
        ({"closes": ms(NOON) + 3_599_999}, "closes at"),
    ],
)
def test_a_candle_that_cannot_be_right_is_malformed(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        klines(candle(**change))


def test_a_missing_cell_is_malformed_and_an_extra_one_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Malformed, match="11 cells"):
        klines(candle()[:-1])
    assert len(klines([*candle(), "new"])) == 1
    assert "unknown cells ['new']" in caplog.text


def test_candles_that_were_not_asked_for_are_malformed() -> None:
    with pytest.raises(Malformed, match="ignored"):
        klines(candle(), startTime=str(ms(NOON + MINUTE)))
    with pytest.raises(Malformed, match="ignored"):
        klines(candle(), endTime=str(ms(NOON) - 1))


def test_no_candles_are_no_rows() -> None:
    assert klines() == []


@pytest.mark.parametrize("content", [{"code": 0, "msg": "x"}, "text", None])
def test_an_answer_that_is_no_list_is_malformed(content: Any) -> None:
    with pytest.raises(Malformed, match="no list"):
        list(binance.parse(payload(binance.KLINES, content)))


def test_a_settlement_is_keyed_by_its_slot_and_keeps_its_own_instant() -> None:
    drifted = [settlement(fundingTime=ms(NOON) + drift) for drift in (0, 1, 47)]
    rows = [funding(row)[0] for row in drifted]
    assert {row.ts for row in rows} == {NOON}
    assert [row.values["funding_time"] for row in rows] == [NOON + timedelta(milliseconds=d) for d in (0, 1, 47)]


def test_funding_intervals_may_change() -> None:
    hours = [0, 8, 16, 20, 24, 25]
    rows = funding(*[settlement(fundingTime=ms(NOON + timedelta(hours=h))) for h in hours])
    assert [row.ts for row in rows] == [NOON + timedelta(hours=h) for h in hours]


@pytest.mark.parametrize("mark", ["", None])
def test_a_mark_price_may_be_empty_or_absent_and_is_never_zero(mark: str | None) -> None:
    (row,) = funding(settlement(markPrice=mark))
    assert row.values["mark_price"] is None


def test_a_renamed_field_of_a_settlement_is_malformed() -> None:
    with pytest.raises(Malformed, match="fundingRate"):
        funding({**settlement(fundingRate=None), "rate": "0.0001"})


def test_an_answer_for_another_symbol_is_malformed() -> None:
    with pytest.raises(Malformed, match="ETHUSDT"):
        funding(settlement(symbol="ETHUSDT"))
    with pytest.raises(Malformed, match="ETHUSDT"):
        list(binance.parse(payload(binance.TICKER, ticker(symbol="ETHUSDT"))))


def test_a_ticker_is_an_instant_of_the_source() -> None:
    (row,) = rows_of(payload(binance.TICKER, ticker()))
    assert row.ts == NOON + timedelta(milliseconds=17)
    assert row.values["open_time"] == NOON - timedelta(days=1)
    assert row.values["last_price"] == "1.50000000"
    with pytest.raises(Malformed, match="lastPrice"):
        list(binance.parse(payload(binance.TICKER, {k: v for k, v in ticker().items() if k != "lastPrice"})))


class Book:
    """Stands at the other end of `fetch`: candles by open time, a limit of its own, and what was asked."""

    def __init__(self, minutes: list[datetime], limit: int = 1000) -> None:
        self.minutes, self.limit, self.asked = minutes, limit, list[dict[str, str]]()

    def get(self, endpoint: str, params: dict[str, str]) -> Payload:
        self.asked.append(params)
        start, end, limit = int(params["startTime"]), int(params["endTime"]), min(int(params["limit"]), self.limit)
        rows = [candle(minute) for minute in self.minutes if start <= ms(minute) <= end][:limit]
        return payload(endpoint, rows, **params)


def spec(stream: str = "klines_1m") -> SeriesSpec:
    return load_catalog().series("binance", stream)[0]


def fetched(book: Book, since: datetime | None, until: datetime) -> list[datetime]:
    pages: Iterator[Payload] = binance.fetch(book, spec(), Window(since, until))  # type: ignore[arg-type]
    return [row.ts for page in pages for row in rows_of(page)]


@pytest.mark.parametrize("limit", [1000, 7, 1])
def test_pages_give_every_candle_once_whatever_the_limit_and_the_gaps(limit: int) -> None:
    minutes = [NOON + at * MINUTE for at in (0, 1, 2, 3, 40, 41, 59, 60, 61)]
    book = Book(minutes, limit)
    assert fetched(book, NOON, NOON + 61 * MINUTE) == minutes[:-1], "the end of a window is not in it"
    assert book.asked[0]["interval"] == "1m"


def test_a_window_without_candles_is_empty_and_costs_one_call() -> None:
    book = Book([])
    assert fetched(book, NOON, NOON + 61 * MINUTE) == []
    assert len(book.asked) == 1


def test_without_a_start_it_begins_at_the_beginning() -> None:
    book = Book([NOON])
    assert fetched(book, None, NOON + MINUTE) == [NOON]
    assert book.asked[0]["startTime"] == "0"


class Refusing:
    """An upstream that refuses with a code of its own."""

    def __init__(self, code: int) -> None:
        self.code = code

    def get(self, endpoint: str, params: dict[str, str]) -> Payload:
        refused = payload(endpoint, {"code": self.code, "msg": "said"}, 400)
        raise Refused("400", refused)


@pytest.mark.parametrize(
    ("code", "error"), [(-1121, Refused), (-1100, Refused), (-1001, Retriable), (-1007, Retriable)]
)
def test_codes_of_an_overloaded_server_may_be_asked_again(code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(binance.fetch(Refusing(code), spec(), Window(NOON, NOON + MINUTE)))  # type: ignore[arg-type]
