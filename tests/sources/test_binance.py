"""Binance's answers, and every trap in them, through the connector alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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


def depth(**changes: Any) -> dict[str, Any]:
    """A book around 100 that reaches 3 % either way."""
    bids = [["99.90000000", "2.00000000"], ["98.00000000", "10.00000000"], ["97.00000000", "5.00000000"]]
    asks = [["100.10000000", "1.00000000"], ["102.00000000", "3.00000000"], ["103.00000000", "7.00000000"]]
    return {"lastUpdateId": 499869752, "bids": bids, "asks": asks, **changes}


def read_book(**changes: Any) -> Row:
    (row,) = rows_of(payload(binance.DEPTH, depth(**changes)))
    return row


def test_a_book_is_as_of_its_arrival_and_sums_what_lies_within_two_percent_of_its_mid() -> None:
    row = read_book()
    assert (row.series, row.ts) == ("BTCUSDT", NOON)
    assert row.values == {
        "last_update_id": 499869752,
        "best_bid": Decimal("99.9"),
        "best_ask": Decimal("100.1"),
        "bid_depth_2pct": Decimal("99.9") * 2 + 98 * 10,
        "ask_depth_2pct": Decimal("100.1") + 102 * 3,
        "bid_reach": Decimal("0.03"),
        "ask_reach": Decimal("0.03"),
        "is_truncated": False,
    }


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_book_that_does_not_reach_two_percent_on_a_side_says_so(side: str) -> None:
    row = read_book(**{side: depth()[side][:1]})
    assert row.values["is_truncated"] is True
    assert row.values[f"{side[:3]}_reach"] == Decimal("0.001")


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_of_a_book_with_an_empty_side_nothing_is_known_and_nothing_is_zero(side: str) -> None:
    values = dict(read_book(**{side: []}).values)
    assert values.pop("last_update_id") == 499869752
    assert set(values.values()) == {None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bids": depth()["bids"][::-1]}, "bids descend"),
        ({"asks": depth()["asks"][::-1]}, "asks ascend"),
        ({"asks": [depth()["asks"][0]] * 2}, "each price once"),
        ({"asks": depth()["bids"][:1]}, "crossed"),
        ({"bids": [[99.9, 2.0]]}, "no number"),
        ({"bids": [["99.9"]]}, "no list of prices"),
        ({"bids": [["0.00000000", "1.0"]]}, "below zero"),
        ({"bids": None}, "no list of prices"),
        ({"lastUpdateId": "499869752"}, "no count"),
    ],
)
def test_a_book_that_cannot_be_right_is_malformed(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_book(**change)


def test_a_renamed_side_is_malformed_and_the_times_of_futures_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Malformed, match="asks"):
        rows_of(payload(binance.DEPTH, {name: value for name, value in depth().items() if name != "asks"}))
    assert read_book(E=1, T=2).values == read_book().values
    assert "unknown fields ['E', 'T']" in caplog.text


def test_the_whole_book_is_asked_for() -> None:
    asked = []

    class Venue:
        def get(self, endpoint: str, params: dict[str, str]) -> Payload:
            asked.append((endpoint, params))
            return payload(endpoint, depth())

    list(binance.fetch(Venue(), spec("depth"), Window(None, NOON)))  # type: ignore[arg-type]
    assert asked == [("api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"})]


def test_open_interest_is_in_base_coins_at_the_sources_own_instant() -> None:
    said = {"symbol": "BTCUSDT", "openInterest": "109039.496", "time": ms(NOON) + 443}
    (row,) = rows_of(payload(binance.OPEN_INTEREST, said))
    assert (row.ts, row.values) == (NOON + timedelta(milliseconds=443), {"open_interest": "109039.496"})
    for wrong in ({**said, "symbol": "ETHUSDT"}, {**said, "openInterest": 109039.496}, {**said, "time": "x"}, []):
        with pytest.raises(Malformed):
            rows_of(payload(binance.OPEN_INTEREST, wrong))


def interest(at: datetime = NOON, **changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "sumOpenInterest": "104882.705", "sumOpenInterestValue": "6653666199.09"}
    return {**row, "timestamp": ms(at), **changes}


def interests(*rows: dict[str, Any]) -> list[Row]:
    return rows_of(payload(binance.OPEN_INTEREST_HIST, list(rows)))


def test_a_timestamp_of_the_history_of_open_interest_is_a_number_or_a_text() -> None:
    read = [interests(interest(timestamp=stated))[0] for stated in (ms(NOON), str(ms(NOON)))]
    assert [row.ts for row in read] == [NOON, NOON]
    assert read[0].values["sum_open_interest_value"] == "6653666199.09"


@pytest.mark.parametrize(("stated", "known"), [("19900000.5", "19900000.5"), ("", None), (None, None)])
def test_the_circulating_supply_is_optional_and_never_zero(stated: str | None, known: str | None) -> None:
    (row,) = interests(interest(CMCCirculatingSupply=stated))
    assert row.values["cmc_circulating_supply"] == known
    assert interests(interest())[0].values["cmc_circulating_supply"] is None


def test_open_interest_that_was_not_asked_for_is_malformed() -> None:
    with pytest.raises(Malformed, match="ignored"):
        rows_of(payload(binance.OPEN_INTEREST_HIST, [interest()], startTime=str(ms(NOON) + 1)))
    with pytest.raises(Malformed, match="sumOpenInterest"):
        interests({name: value for name, value in interest().items() if name != "sumOpenInterest"})


class Interests:
    """Stands at the other end of `fetch`: open interest by its instant; of too many rows, the first or the last."""

    def __init__(self, instants: list[datetime], keeps_first: bool) -> None:
        self.instants, self.keeps_first, self.asked = instants, keeps_first, list[dict[str, str]]()

    def get(self, endpoint: str, params: dict[str, str]) -> Payload:
        self.asked.append(params)
        start, end, limit = int(params["startTime"]), int(params["endTime"]), int(params["limit"])
        rows = [interest(at) for at in self.instants if start <= ms(at) <= end]
        return payload(endpoint, rows[:limit] if self.keeps_first else rows[-limit:], **params)


@pytest.mark.parametrize("keeps_first", [True, False])
def test_the_history_of_open_interest_comes_whole_whichever_end_of_a_long_span_is_left_out(keeps_first: bool) -> None:
    every = [NOON + at * 5 * MINUTE for at in range(3 * 288) if at not in range(290, 350)]
    venue = Interests(every, keeps_first)
    window = Window(NOON + timedelta(seconds=17), NOON + timedelta(days=3))
    pages: Iterator[Payload] = binance.fetch(venue, spec("open_interest_hist"), window)  # type: ignore[arg-type]
    assert [row.ts for page in pages for row in rows_of(page)] == every[1:]
    assert len(venue.asked) <= 4
    assert {params["period"] for params in venue.asked} == {"5m"}


def test_an_outage_longer_than_an_answer_does_not_end_the_history_of_open_interest() -> None:
    late = [NOON + timedelta(days=4)]
    pages = binance.fetch(
        Interests(late, True),  # type: ignore[arg-type]
        spec("open_interest_hist"),
        Window(NOON, NOON + timedelta(days=5)),
    )
    assert [row.ts for page in pages for row in rows_of(page)] == late
