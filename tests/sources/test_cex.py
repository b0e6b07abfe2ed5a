"""Rounds of venues, and every trap in what they say, through the connector alone."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from feature_store.errors import Malformed
from feature_store.sources import cex
from feature_store.sources.contract import Row

from .cex_rounds import (
    ASKS,
    BIDS,
    BODIES,
    BOOKS,
    MS,
    NOON,
    OPEN_INTEREST,
    answers,
    changed,
    payload,
    row,
    told,
    venues,
)


def missing(stream: str, venue: str, *bodies: Any) -> str:
    """Why a venue that said this does not count."""
    said = told(stream, venue, *bodies)
    assert set(said) == {"missing"}
    return str(said["missing"])


def dollars(venue: str, *bodies: Any) -> Decimal:
    """The open interest that is read from one venue, exactly."""
    read = row("open_interest", {venue: answers(*(bodies or OPEN_INTEREST[venue]))})
    amount = read.values["open_interest_usd"]
    assert isinstance(amount, Decimal)
    return amount


@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_counts_what_lies_within_two_percent_of_its_mid_on_either_side(venue: str) -> None:
    said = told("books", venue)
    assert (said["mid"], said["bid_depth_2pct_usd"], said["ask_depth_2pct_usd"]) == (100, 295, 407)
    assert (said["depth_2pct_usd"], said["is_truncated"], said["reach"]) == (702, False, 0.05)
    assert said["at"].startswith("2026-03-02T12:00:00")


def test_the_tables_of_venues_and_the_fixtures_name_the_same() -> None:
    for stream, bodies in BODIES.items():
        assert [venue.name for venue in cex.ROUNDS[stream].venues] == list(bodies)
        assert [len(venue.asks) for venue in cex.ROUNDS[stream].venues] == [len(said) for said in bodies.values()]


@pytest.mark.parametrize(("side", "level"), [("bids", ["98.01", "1"]), ("asks", ["101.99", "1"])], ids=["bids", "asks"])
def test_a_truncated_book_is_flagged_with_its_reach(side: str, level: list[str]) -> None:
    short = {**BOOKS["binance"][0], side: [BIDS[0] if side == "bids" else ASKS[0], level]}
    read = row("books", {"binance": answers(short), "okx": answers(*BOOKS["okx"])})
    said = venues(read)["binance"]
    assert said["is_truncated"] is True
    assert said["reach"] == 0.0199
    assert venues(read)["okx"]["is_truncated"] is False
    assert read.values["is_truncated"] is True


def test_a_book_that_just_reaches_two_percent_is_whole() -> None:
    assert (
        told("books", "binance", {**BOOKS["binance"][0], "bids": BIDS[:2], "asks": ASKS[:2]})["is_truncated"] is False
    )


def test_levels_without_quantity_are_no_prices() -> None:
    assert told("books", "binance", {**BOOKS["binance"][0], "bids": [["99.99", "0"], *BIDS]})["mid"] == 100


def test_sums_are_exact_and_cover_those_that_answered() -> None:
    fine = {**BOOKS["binance"][0], "bids": [["98.99999999", "0.00000001"], *BIDS[1:]]}
    read = row("books", {"binance": answers(fine), "kraken": answers(*BOOKS["kraken"])})
    said = json.loads(str(read.values["venues"]), parse_float=Decimal)["binance"]
    worth = Decimal("98.99999999") * Decimal("0.00000001") + Decimal(196)
    assert said["bid_depth_2pct_usd"] == worth
    assert read.values["bid_depth_2pct_usd"] == worth + 295
    assert (read.values["answered"], read.values["asked"]) == (2, 2)


def test_a_missing_venue_is_said_and_counted() -> None:
    whole = row("books", {name: answers(*bodies) for name, bodies in BOOKS.items()})
    without = row("books", {**{name: answers(*bodies) for name, bodies in BOOKS.items()}, "okx": {"error": "451"}})
    assert (whole.values["answered"], whole.values["asked"], whole.values["depth_2pct_usd"]) == (6, 6, 6 * 702)
    assert (without.values["answered"], without.values["asked"], without.values["depth_2pct_usd"]) == (5, 6, 5 * 702)
    assert venues(without)["okx"] == {"missing": "451"}


def test_a_row_is_dated_by_the_end_of_its_round() -> None:
    read = row("books", {"okx": answers(*BOOKS["okx"])})
    assert (read.series, read.ts) == ("BTC", NOON + timedelta(milliseconds=250))
    assert set(read.values) == {
        "depth_2pct_usd", "bid_depth_2pct_usd", "ask_depth_2pct_usd", "venues", "answered", "asked", "is_truncated",
    }  # fmt: skip
    counted = row("open_interest", {"okx": answers(*OPEN_INTEREST["okx"])})
    assert set(counted.values) == {"open_interest_usd", "venues", "answered", "asked"}


def test_no_venue_that_can_be_read_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"no venue can be read.*50011: Too Many Requests"):
        row(
            "books",
            {"okx": answers({"code": "50011", "data": [], "msg": "Too Many Requests"}), "kraken": {"error": "x"}},
        )


def test_a_broken_round_is_malformed() -> None:
    whole = payload("books", {"okx": answers(*BOOKS["okx"])})
    half = type(whole)(**{**vars(whole), "content": whole.content[:80]})
    with pytest.raises(Malformed, match="truncated or broken JSON"):
        list(cex.parse(half))


ERRORS: dict[str, tuple[Any, str]] = {
    "okx": ({"code": "50011", "data": [], "msg": "Too Many Requests"}, "50011: Too Many Requests"),
    "bybit": ({"retCode": 10006, "retMsg": "Too many visits", "result": {}, "time": MS}, "10006: Too many visits"),
    "kraken": ({"error": ["EQuery:Unknown asset pair"]}, "EQuery:Unknown asset pair"),
    "bitget": ({"code": "40034", "msg": "Parameter does not exist", "data": None}, "40034: Parameter does not exist"),
    "coinbase": ({"message": "NotFound"}, "NotFound"),
    "binance": ({"code": -1121, "msg": "Invalid symbol."}, "-1121: Invalid symbol."),
}


@pytest.mark.parametrize("venue", ERRORS)
def test_an_error_told_with_status_200_makes_the_venue_missing_in_its_own_words(venue: str) -> None:
    body, words = ERRORS[venue]
    assert missing("books", venue, body) == words


def test_an_error_of_deribit_and_of_kraken_futures_makes_them_missing_in_their_own_words() -> None:
    error = {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}, "usIn": 1}
    assert missing("open_interest", "deribit", error, OPEN_INTEREST["deribit"][1]) == "10028: too_many_requests"
    limited = {"result": "error", "error": "apiLimitExceeded", "serverTime": "2026-03-02T12:00:00.000Z"}
    assert missing("open_interest", "kraken", limited) == "apiLimitExceeded"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"lastUpdateId": 7, "bids": [], "asks": []}, "its book is empty"),
        ({"lastUpdateId": 7, "bids": BIDS, "asks": []}, "its book has no asks"),
        ({"lastUpdateId": 7, "bids": [["99", "0"]], "asks": ASKS}, "its book has no bids"),
        ({"lastUpdateId": 7, "bids": ASKS, "asks": BIDS}, "its book is crossed: bid 105, ask 95"),
        ({"lastUpdateId": 7, "bids": [["ninety", "1"]], "asks": ASKS}, "'ninety' is no amount"),
        ({"lastUpdateId": 7, "bids": [["-1", "1"]], "asks": ASKS}, "'-1' is no amount"),
        ({"lastUpdateId": 7, "bids": [["NaN", "1"]], "asks": ASKS}, "'NaN' is no amount"),
        ({"lastUpdateId": 7, "bids": [[True, "1"]], "asks": ASKS}, "True is no amount"),
        ({"lastUpdateId": 7, "asks": ASKS}, "its answer has an unexpected shape: KeyError('bids')"),
        ([1], "its answer has an unexpected shape: TypeError"),
        ("<html>Just a moment", "it answered with HTML where JSON was due"),
        ('{"bids": [["9', "it answered with truncated or broken JSON where JSON was due"),
    ],
)
def test_a_book_that_is_no_market_is_missing_with_a_reason(body: Any, words: str) -> None:
    assert missing("books", "binance", body).startswith(words)


@pytest.mark.parametrize(
    ("venue", "path", "written"),
    [
        ("okx", ("data", 0, "ts"), str),
        ("bybit", ("result", "ts"), int),
        ("bitget", ("data", "ts"), str),
        ("coinbase", ("time",), lambda ms: (NOON + timedelta(milliseconds=ms - MS)).isoformat()),
    ],
)
def test_a_stale_book_is_missing(venue: str, path: tuple[Any, ...], written: Any) -> None:
    body = BOOKS[venue][0]
    assert missing("books", venue, changed(body, *path, to=written(MS - 30_001))).startswith(
        "stale: of 2026-03-02 11:59"
    )
    assert "depth_2pct_usd" in told("books", venue, changed(body, *path, to=written(MS - 30_000)))
    assert missing("books", venue, changed(body, *path, to=written(MS + 30_001))).startswith("of the future")


def test_age_is_counted_to_the_arrival_of_the_venues_own_answer() -> None:
    late = NOON + timedelta(seconds=40)
    said = {"okx": answers(*BOOKS["okx"], arrived=late), "binance": answers(*BOOKS["binance"], arrived=late)}
    read = venues(row("books", said))
    assert read["okx"]["missing"].startswith("stale")
    assert read["binance"]["at"] == late.isoformat()  # it states no time: its answer's is taken


def test_bytes_that_are_no_utf8_come_back_as_they_were_and_never_into_a_row() -> None:
    raw = b'{"code": "5\xff", "msg": "\x00\\ud800"}'.replace(b"\x00", b"\\u0000")
    text = raw.decode("utf-8", "surrogateescape")
    said = json.loads(payload("books", {"okx": answers(text)}).content)["venues"]["okx"][0]["body"]
    assert said.encode("utf-8", "surrogateescape") == raw
    why = missing("books", "okx", text)
    assert why.encode()
    words = missing("books", "okx", json.dumps({"code": "1", "msg": "a\0b\ud800"}))
    assert words == "1: ab?"


def test_an_answer_for_something_else_is_missing() -> None:
    other = changed(BOOKS["bybit"][0], "result", "s", to="ETHUSDT")
    assert missing("books", "bybit", other) == "it answered for 'ETHUSDT' instead of 'BTCUSDT'"
    swapped = reversed(OPEN_INTEREST["okx"])
    assert missing("open_interest", "okx", *swapped).startswith("it answered for 'BTC-USD-SWAP'")


def test_binance_open_interest_is_coins_at_the_mark_price() -> None:
    assert dollars("binance") == Decimal("100.5") * 50000
    assert told("open_interest", "binance")["at"] == (NOON - timedelta(seconds=3)).isoformat()


def test_binance_coin_open_interest_is_contracts_of_a_hundred_dollars() -> None:
    assert dollars("binance-coin") == 123400


def test_okx_open_interest_is_neither_contracts_nor_coins() -> None:
    assert dollars("okx") == Decimal("150000000.5")


def test_okx_contracts_are_a_hundredth_of_a_coin_and_a_hundred_dollars() -> None:
    linear, inverse = (body["data"][0] for body in OPEN_INTEREST["okx"])
    assert Decimal(linear["oi"]) * Decimal("0.01") == Decimal(linear["oiCcy"])
    assert Decimal(inverse["oi"]) * 100 == Decimal(inverse["oiUsd"])


def test_bybit_open_interest_is_worth_its_value_where_linear_and_dollars_where_inverse() -> None:
    assert dollars("bybit") == Decimal("160000000.25")


def test_kraken_open_interest_is_dollars_of_inverse_and_coins_of_linear_perpetuals_of_bitcoin_alone() -> None:
    assert dollars("kraken") == Decimal("21279580") + Decimal("1000.25") * Decimal("50000.5")


def test_kraken_without_one_of_its_perpetuals_is_missing_and_not_lower() -> None:
    body = OPEN_INTEREST["kraken"][0]
    less = {**body, "tickers": [ticker for ticker in body["tickers"] if ticker["symbol"] != "PF_XBTUSD"]}
    assert missing("open_interest", "kraken", less) == "it lists no PF_XBTUSD"


def test_deribit_open_interest_is_dollars_already() -> None:
    assert dollars("deribit") == Decimal(1139551440) + Decimal("10.5") * Decimal("50000.5")


def test_bitget_open_interest_is_coins_at_the_mark_price() -> None:
    assert dollars("bitget") == Decimal("1000.5") * 50000


def test_open_interest_sums_the_venues_that_answered() -> None:
    read = row("open_interest", {name: answers(*bodies) for name, bodies in OPEN_INTEREST.items()})
    assert read.values["open_interest_usd"] == sum(dollars(name) for name in OPEN_INTEREST)
    assert (read.values["answered"], read.values["asked"]) == (7, 7)


@pytest.mark.parametrize("count", [None, "", "n/a"])
def test_an_unknown_count_is_not_zero(count: Any) -> None:
    body = changed(OPEN_INTEREST["bitget"][0], "data", "openInterestList", 0, "size", to=count)
    assert missing("open_interest", "bitget", body, OPEN_INTEREST["bitget"][1]) == f"{count!r} is no amount"


def test_a_venue_that_nothing_reads_any_more_is_missing() -> None:
    read: Row = row("books", {"okx": answers(*BOOKS["okx"]), "mtgox": answers({})})
    assert venues(read)["mtgox"] == {"missing": "nothing reads it any more"}
