"""The venues of the CEX aggregator: each one's wire format, by the clock, over the minutes of BTCUSDT."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.replay.invented_cex import OPEN_INTEREST, SPOT, Moment, open_interest
from tests.faults import add_fault, clear_faults
from tests.recordings import RECORDED, needs_recordings

from .server import Wall, candle, candles, ms

NOW = "2026-03-02T12:00:00.250+00:00"
BOOKS = {
    "binance": ("binance/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"}),
    "okx": ("okx/api/v5/market/books-full", {"instId": "BTC-USDT", "sz": "5000"}),
    "bybit": ("bybit/v5/market/orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": "1000"}),
    "coinbase": ("coinbase/products/BTC-USD/book", {"level": "2"}),
    "kraken": ("kraken/0/public/Depth", {"pair": "XBTUSD", "count": "500"}),
    "bitget": ("bitget/api/v2/spot/market/orderbook", {"symbol": "BTCUSDT", "type": "step0", "limit": "150"}),
}
SIDES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "binance": lambda body: (body["bids"], body["asks"]),
    "okx": lambda body: (body["data"][0]["bids"], body["data"][0]["asks"]),
    "bybit": lambda body: (body["result"]["b"], body["result"]["a"]),
    "coinbase": lambda body: (body["bids"], body["asks"]),
    "kraken": lambda body: (body["result"]["XXBTZUSD"]["bids"], body["result"]["XXBTZUSD"]["asks"]),
    "bitget": lambda body: (body["data"]["bids"], body["data"]["asks"]),
}
OTHERS = {
    "count": ("binance-futures/fapi/v1/openInterest", {"symbol": "BTCUSDT"}),
    "premium": ("binance-futures/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}),
    "coin": ("binance-coin/dapi/v1/openInterest", {"symbol": "BTCUSD_PERP"}),
    "okx-linear": ("okx/api/v5/public/open-interest", {"instType": "SWAP", "instId": "BTC-USDT-SWAP"}),
    "okx-inverse": ("okx/api/v5/public/open-interest", {"instType": "SWAP", "instId": "BTC-USD-SWAP"}),
    "bybit-linear": ("bybit/v5/market/tickers", {"category": "linear", "symbol": "BTCUSDT"}),
    "bybit-inverse": ("bybit/v5/market/tickers", {"category": "inverse", "symbol": "BTCUSD"}),
    "kraken-futures": ("kraken-futures/derivatives/api/v3/tickers", {}),
    "deribit": ("deribit/api/v2/public/get_order_book", {"instrument_name": "BTC-PERPETUAL", "depth": "1"}),
    "deribit-usdc": ("deribit/api/v2/public/get_order_book", {"instrument_name": "BTC_USDC-PERPETUAL", "depth": "1"}),
    "bitget": ("bitget/api/v2/mix/market/open-interest", {"productType": "usdt-futures", "symbol": "BTCUSDT"}),
    "bitget-price": ("bitget/api/v2/mix/market/symbol-price", {"productType": "usdt-futures", "symbol": "BTCUSDT"}),
}


class Venues:
    """A client of them all."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = httpx.Client(base_url=f"{base_url}/cex", timeout=None, trust_env=False)

    def get(self, path: str, params: dict[str, str]) -> httpx.Response:
        return self.http.get(f"/{path}", params=params)

    def ok(self, path: str, params: dict[str, str]) -> Any:
        answer = self.get(path, params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def book(self, venue: str) -> tuple[list[list[float]], list[list[float]]]:
        bids, asks = SIDES[venue](self.ok(*BOOKS[venue]))
        return [[float(level[0]), float(level[1])] for level in bids], [
            [float(level[0]), float(level[1])] for level in asks
        ]


@pytest.fixture
def venues(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Iterator[Venues]:
    clear_faults(shared_server[0])
    candles(folder, "BTCUSDT", [candle("2026-03-02T11:55:00Z", at, 80_000) for at in range(10)])
    wall.turn(NOW)
    client = Venues(shared_server[0])
    yield client
    client.http.close()


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def shape(value: Any) -> Any:
    """Everything by its type; objects by their keys in order, lists by their first member."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value and not isinstance(value[0], int | float | str) else [*map(shape, value)]
    return type(value)


@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_is_sorted_and_lies_around_the_price_of_the_candles(venues: Venues, venue: str) -> None:
    bids, asks = venues.book(venue)
    prices = [price for price, _ in bids], [price for price, _ in asks]
    assert prices[0] == sorted(set(prices[0]), reverse=True)
    assert prices[1] == sorted(set(prices[1]))
    assert prices[0][0] < prices[1][0]
    assert (prices[0][0] + prices[1][0]) / 2 == pytest.approx(80_000, rel=5e-4)
    assert all(quantity > 0 for _, quantity in (*bids, *asks))


@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_reaches_two_percent_unless_the_venue_gives_too_few_levels(venues: Venues, venue: str) -> None:
    bids, asks = venues.book(venue)
    mid = (bids[0][0] + asks[0][0]) / 2
    reaches = bids[-1][0] <= mid * 0.98 and asks[-1][0] >= mid * 1.02
    assert reaches == (venue not in {"kraken", "bitget"})
    assert (len(bids), len(asks)) == ({"kraken": (500, 500), "bitget": (150, 150)}.get(venue, (900, 900)))


def test_a_book_has_as_many_levels_as_asked_for_and_the_venues_own_number_without(venues: Venues) -> None:
    assert len(venues.ok("binance/api/v3/depth", {"symbol": "BTCUSDT"})["bids"]) == 100
    assert len(venues.ok("binance/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5"})["bids"]) == 5
    assert len(venues.ok("coinbase/products/BTC-USD/book", {})["asks"]) == 1
    assert (
        len(venues.ok("kraken/0/public/Depth", {"pair": "XBTUSD", "count": "900"})["result"]["XXBTZUSD"]["asks"]) == 500
    )


def test_venues_differ_by_a_few_basis_points(venues: Venues) -> None:
    mids = {}
    for venue in BOOKS:
        bids, asks = venues.book(venue)
        mids[venue] = (bids[0][0] + asks[0][0]) / 2
    assert len(set(mids.values())) == len(mids)
    assert max(mids.values()) / min(mids.values()) < 1.001


@pytest.mark.parametrize("place", [*BOOKS.values(), *OTHERS.values()], ids=lambda place: str(place[0]))
def test_an_answer_depends_on_the_clock_alone(venues: Venues, wall: Wall, place: tuple[str, dict[str, str]]) -> None:
    first = venues.get(*place).text
    wall.turn("2026-03-02T11:58:00+00:00")
    assert venues.get(*place).text != first
    wall.turn(NOW)
    assert venues.get(*place).text == first


def test_the_price_follows_the_running_candle(venues: Venues, wall: Wall) -> None:
    def price() -> float:
        return float(venues.ok(*OTHERS["premium"])["indexPrice"])

    assert price() == pytest.approx(80_000, abs=0.5)  # just opened
    wall.turn("2026-03-02T12:00:59.999+00:00")
    assert price() == pytest.approx(80_001, abs=0.01)  # about to close


def test_instants_are_the_clocks(venues: Venues) -> None:
    now = ms(NOW)
    assert venues.ok(*BOOKS["okx"])["data"][0]["ts"] == str(now)
    assert venues.ok(*BOOKS["bybit"])["result"]["ts"] == now
    assert venues.ok(*BOOKS["bitget"])["data"]["ts"] == str(now)
    assert datetime.fromisoformat(venues.ok(*BOOKS["coinbase"])["time"]) == datetime.fromisoformat(NOW)
    assert venues.ok(*OTHERS["deribit"])["result"]["timestamp"] == now
    assert venues.ok(*OTHERS["kraken-futures"])["serverTime"] == "2026-03-02T12:00:00.250Z"


def test_open_interest_is_told_in_the_unit_of_each_venue(venues: Venues) -> None:
    linear, inverse = (venues.ok(*OTHERS[name])["data"][0] for name in ("okx-linear", "okx-inverse"))
    assert float(linear["oi"]) * 0.01 == pytest.approx(float(linear["oiCcy"]), rel=1e-6)
    assert float(inverse["oi"]) * 100 == pytest.approx(float(inverse["oiUsd"]), rel=1e-6)
    coins, dollars = (venues.ok(*OTHERS[name])["result"]["list"][0] for name in ("bybit-linear", "bybit-inverse"))
    assert float(coins["openInterestValue"]) == pytest.approx(float(coins["openInterest"]) * 80_000, rel=1e-3)
    assert float(dollars["openInterestValue"]) == pytest.approx(float(dollars["openInterest"]) / 80_000, rel=1e-3)
    assert venues.ok(*OTHERS["deribit"])["result"]["open_interest"] > 1e8
    assert venues.ok(*OTHERS["deribit-usdc"])["result"]["open_interest"] < 1e5


def test_dated_futures_and_other_coins_stand_in_krakens_list(venues: Venues) -> None:
    listed = {row["symbol"]: row["tag"] for row in venues.ok(*OTHERS["kraken-futures"])["tickers"]}
    assert {"PI_XBTUSD", "PF_XBTUSD", "PF_ETHUSD"} < set(listed)
    assert "quarter" in listed.values()


@pytest.mark.parametrize("name", OPEN_INTEREST)
def test_open_interest_moves_slowly_and_by_a_few_percent(name: str) -> None:
    at = datetime.fromisoformat(NOW)
    told = [open_interest(name, Moment(80_000, at + timedelta(minutes=5 * step))) for step in range(3000)]
    assert max(told) / min(told) < 1.15
    assert max(abs(after / before - 1) for before, after in pairwise(told)) < 0.004


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        (("binance/api/v3/depth", {"symbol": "BTCUSDX"}), 400, '{"code":-1121,"msg":"Invalid symbol."}'),
        (("binance-futures/fapi/v1/openInterest", {"symbol": "BTCUSDX"}), 400, '"code":-1121'),
        (("okx/api/v5/market/books-full", {"instId": "BTC-USDX"}), 200, '"code":"51001","data":[]'),
        (("bybit/v5/market/orderbook", {"category": "spot", "symbol": "X"}), 200, '"retCode":10001'),
        (("kraken/0/public/Depth", {"pair": "XBTUSX"}), 200, '{"error":["EQuery:Unknown asset pair"]}'),
        (("deribit/api/v2/public/get_order_book", {"instrument_name": "X"}), 400, '"code":-32602'),
        (("bitget/api/v2/mix/market/open-interest", {"symbol": "X"}), 400, '"code":"40034"'),
    ],
)
def test_an_unknown_symbol_is_told_as_the_venue_tells_it(
    venues: Venues, place: tuple[str, dict[str, str]], status: int, words: str
) -> None:
    answer = venues.get(*place)
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("place", [*BOOKS.values(), *OTHERS.values()], ids=lambda place: str(place[0]))
def test_without_candles_no_venue_knows_bitcoin(venues: Venues, wall: Wall, place: tuple[str, dict[str, str]]) -> None:
    wall.turn("2026-03-02T11:54:59+00:00")
    answer = venues.get(*place)
    told = answer.json()
    is_refused = (
        answer.status_code in {400, 404} or told.get("retCode") or told.get("error") or told.get("code") == "51001"
    )
    assert is_refused or told["tickers"] == []


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        (BOOKS["okx"], 429, '"code":"50011"'),
        (BOOKS["binance"], 451, "restricted location"),
        (OTHERS["count"], 418, "banned until"),
        (BOOKS["bybit"], 403, "Request blocked"),
        (BOOKS["coinbase"], 500, '{"message":"Internal Server Error"}'),
        (BOOKS["kraken"], 429, "EAPI:Rate limit exceeded"),
        (OTHERS["kraken-futures"], 429, "apiLimitExceeded"),
        (OTHERS["deribit"], 429, '"code":10028'),
        (BOOKS["bitget"], 429, '"code":"429"'),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_a_fault_of_one_venue_is_told_in_its_manner_and_leaves_the_others_alone(
    venues: Venues, place: tuple[str, dict[str, str]], status: int, words: str
) -> None:
    host = place[0].split("/")[0]
    fault = {"kind": "status", "source": "cex", "path": f"{host}/", "status": status}
    add_fault(venues.base_url, **fault)
    others = [other for other in BOOKS.values() if not other[0].startswith(f"{host}/")]
    assert all(venues.get(*other).status_code == 200 for other in others)
    spoilt = venues.get(*place)
    assert spoilt.status_code == status
    assert words in spoilt.text
    assert venues.get(*place).status_code == 200


def test_unknown_paths_and_hosts_are_not_found(venues: Venues) -> None:
    assert venues.get("okx/api/v5/nowhere", {}).status_code == 404
    assert venues.get("mtgox/api", {}).text == "no such host: mtgox\n"


def test_every_venue_of_a_book_has_its_manners() -> None:
    assert set(SPOT) == set(BOOKS)


@needs_recordings
def test_books_have_the_recorded_shape(venues: Venues) -> None:
    okx, told = venues.ok(*BOOKS["okx"]), recorded("cex/nautilus/okx/http_get_order_book.json")
    for side in ("asks", "bids"):  # the full book has no third cell, which is deprecated in the other one
        told["data"][0][side] = [[price, size, orders] for price, size, _, orders in told["data"][0][side]]
    assert shape(okx) == shape(told)
    bybit, told = venues.ok(*BOOKS["bybit"]), recorded("cex/nautilus/bybit/http_get_orderbook.json")
    assert shape({name: bybit[name] for name in told}) == shape(told)
    kraken, told = venues.ok(*BOOKS["kraken"]), recorded("cex/nautilus/kraken/http_order_book.json")
    assert shape(list(kraken["result"].values())) == shape(list(told["result"].values()))
    binance, told = venues.ok(*BOOKS["binance"]), recorded("binance/nautilus/http_spot_market_depth.json")
    assert shape(binance) == shape(told)


@needs_recordings
def test_open_interest_has_the_recorded_shape(venues: Venues) -> None:
    lines = (RECORDED / "binance/transcribed/live_2022_2026.jsonl").read_text()
    for line in lines.splitlines():
        told = json.loads(line)
        for name, path in (("count", "fapi/v1/openInterest"), ("premium", "fapi/v1/premiumIndex")):
            if path in told["url"]:
                assert shape(venues.ok(*OTHERS[name])) == shape(told["body"])
    told = recorded("cex/nautilus/kraken/http_futures_tickers.json")
    mine = venues.ok(*OTHERS["kraken-futures"])
    assert list(mine) == list(told)
    theirs = told["tickers"][0]
    for name, value in mine["tickers"][0].items():
        assert type(value) is type(theirs[name])
