"""The parsers of venues on recorded answers, where those belong to an endpoint that is asked."""

import json
from decimal import Decimal
from typing import Any

import pytest

from feature_store.sources import cex_books, cex_open_interest
from feature_store.sources.cex_venue import Reading
from tests.recordings import RECORDED, needs_recordings

pytestmark = needs_recordings


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text(), parse_float=Decimal)


def book(venue: str, body: Any) -> Reading:
    return next(each for each in cex_books.VENUES if each.name == venue).read(body)


def open_interest(venue: str, *bodies: Any) -> Reading:
    return next(each for each in cex_open_interest.VENUES if each.name == venue).read(*bodies)


@pytest.mark.parametrize(
    ("venue", "file", "mid", "depth"),
    [
        ("binance", "binance/nautilus/http_spot_market_depth.json", None, None),
        # Of the others: price times quantity, summed over all levels of both sides, reckoned apart.
        ("okx", "cex/nautilus/okx/http_get_order_book.json", "41006.75", "197374.66"),
        ("bybit", "cex/nautilus/bybit/http_get_orderbook.json", "27450.75", "245684.58"),
        ("kraken", "cex/nautilus/kraken/http_order_book.json", "105944.25", "53288.71"),
    ],
)
def test_recorded_books_are_read_whole(venue: str, file: str, mid: str | None, depth: str | None) -> None:
    measures = book(venue, recorded(file)).measures
    assert measures["is_truncated"] is True
    assert 0 < measures["reach"] < Decimal("0.02")
    assert measures["depth_2pct_usd"] == measures["bid_depth_2pct_usd"] + measures["ask_depth_2pct_usd"] > 0
    if mid and depth:
        assert measures["mid"] == Decimal(mid)
        assert round(measures["depth_2pct_usd"], 2) == Decimal(depth)


def test_recorded_books_state_their_time_where_the_venue_does() -> None:
    assert str(book("okx", recorded("cex/nautilus/okx/http_get_order_book.json")).at) == "2024-01-01 00:00:00+00:00"
    assert str(book("bybit", recorded("cex/nautilus/bybit/http_get_orderbook.json")).at) == "2024-03-08 09:54:39+00:00"
    assert book("kraken", recorded("cex/nautilus/kraken/http_order_book.json")).at is None


def test_recorded_open_interest_of_binance_is_coins_at_the_mark_price() -> None:
    lines = (RECORDED / "binance/transcribed/live_2022_2026.jsonl").read_text().splitlines()
    live = {each["url"]: each["body"] for line in lines if (each := json.loads(line))["url"].startswith("https://fapi")}
    count = live["https://fapi.binance.com/fapi/v1/openInterest?symbol=BTCUSDT"]
    price = live["https://fapi.binance.com/fapi/v1/premiumIndex?symbol=BTCUSDT"]
    read = open_interest("binance", count, price)
    assert read.measures["open_interest_usd"] == Decimal("109039.496") * Decimal("80065.24544928")
    assert read.at is not None
    assert f"{read.at:%Y-%m-%d}" == "2026-08-27"


def test_recorded_tickers_of_kraken_futures_lack_one_perpetual_and_are_read_with_it() -> None:
    text = (RECORDED / "cex/nautilus/kraken/http_futures_tickers.json").read_text()
    with pytest.raises(Exception, match="it lists no PF_XBTUSD"):
        open_interest("kraken", json.loads(text, parse_float=Decimal))
    read = open_interest("kraken", json.loads(text.replace("PF_ETHUSD", "PF_XBTUSD"), parse_float=Decimal))
    assert read.measures["open_interest_usd"] == Decimal("21279580.0") + Decimal("1000000.0") * Decimal("3205.25")
    assert str(read.at) == "2025-11-17 00:34:37.524000+00:00"


@pytest.mark.parametrize(("name", "price"), [("BTC-USDT-SWAP", "0.01"), ("BTC-USD-SWAP", "100")])
def test_recorded_contracts_of_okx_are_of_the_size_that_replay_and_tests_assume(name: str, price: str) -> None:
    listed = {row["instId"]: row for row in recorded("cex/nautilus/okx/http_get_instruments_swap.json")["data"]}
    if name not in listed:
        pytest.skip(f"the recording does not list {name}")
    assert Decimal(listed[name]["ctVal"]) == Decimal(price)
