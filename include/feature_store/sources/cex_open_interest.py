"""Open interest in perpetuals of bitcoin, in dollars: each venue counts in a unit of its own.

Contracts settled in USDT or USDC ("linear") are counted in coins and worth their price; those settled in bitcoin
("inverse") are counted in dollars already, and do not move with the price. Futures with an end are left out. A USDT
and a USDC count as a dollar. Coinbase is not asked: its spot host has none.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from feature_store.sources.cex_venue import (
    Missing,
    Reading,
    Venue,
    amount,
    binance,
    bitget,
    bybit,
    deribit,
    expect,
    iso,
    kraken_futures,
    milliseconds,
    okx,
    only,
)

SUMMED = ("open_interest_usd",)
OLDEST = timedelta(minutes=5)
"""Counts come less often than books: the slowest venue's every minute or so."""
COIN_CONTRACT_USD = 100
"""Of Binance's BTCUSD_PERP. Its answer counts contracts."""


def _reading(dollars: Decimal, *stated: Any) -> Reading:
    return Reading({"open_interest_usd": dollars}, min(stated))


def _binance(count: Any, price: Any) -> Reading:
    for body in (binance(count), binance(price)):
        expect(body["symbol"], "BTCUSDT")
    coins, mark = amount(count["openInterest"]), amount(price["markPrice"])
    return _reading(coins * mark, milliseconds(count["time"]), milliseconds(price["time"]))


def _binance_coin(count: Any) -> Reading:
    expect(binance(count)["symbol"], "BTCUSD_PERP")
    return _reading(amount(count["openInterest"]) * COIN_CONTRACT_USD, milliseconds(count["time"]))


def _okx(linear: Any, inverse: Any) -> Reading:
    # `oi` counts contracts, of 0.01 coins the one and of 100 dollars the other; `oiUsd` is what they are worth.
    rows = [only(okx(linear)), only(okx(inverse))]
    for row, asked in zip(rows, ("BTC-USDT-SWAP", "BTC-USD-SWAP"), strict=True):
        expect(row["instId"], asked)
    return _reading(sum((amount(row["oiUsd"]) for row in rows), Decimal(0)), *(milliseconds(row["ts"]) for row in rows))


def _bybit(linear: Any, inverse: Any) -> Reading:
    rows = [only(bybit(linear)["list"]), only(bybit(inverse)["list"])]
    for row, asked in zip(rows, ("BTCUSDT", "BTCUSD"), strict=True):
        expect(row["symbol"], asked)
    # The inverse contract's openInterestValue is in coins: its openInterest is the one in dollars.
    dollars = amount(rows[0]["openInterestValue"]) + amount(rows[1]["openInterest"])
    return _reading(dollars, milliseconds(linear["time"]), milliseconds(inverse["time"]))


def _kraken(body: Any) -> Reading:
    tickers = {row["symbol"]: row for row in kraken_futures(body)["tickers"] if row.get("tag") == "perpetual"}
    lacking = [symbol for symbol in ("PI_XBTUSD", "PF_XBTUSD") if symbol not in tickers]
    if lacking:
        raise Missing(f"it lists no {' and no '.join(lacking)}")
    inverse, linear = tickers["PI_XBTUSD"], tickers["PF_XBTUSD"]
    dollars = amount(inverse["openInterest"]) + amount(linear["openInterest"]) * amount(linear["markPrice"])
    return _reading(dollars, iso(body["serverTime"]))


def _deribit(inverse: Any, linear: Any) -> Reading:
    books = [deribit(inverse), deribit(linear)]
    for book, asked in zip(books, ("BTC-PERPETUAL", "BTC_USDC-PERPETUAL"), strict=True):
        expect(book["instrument_name"], asked)
    dollars = amount(books[0]["open_interest"]) + amount(books[1]["open_interest"]) * amount(books[1]["mark_price"])
    return _reading(dollars, *(milliseconds(book["timestamp"]) for book in books))


def _bitget(count: Any, price: Any) -> Reading:
    counted, priced = only(bitget(count)["openInterestList"]), only(bitget(price))
    for row in (counted, priced):
        expect(row["symbol"], "BTCUSDT")
    dollars = amount(counted["size"]) * amount(priced["markPrice"])
    return _reading(dollars, milliseconds(count["data"]["ts"]), milliseconds(priced["ts"]))


_OKX, _BYBIT = "api/v5/public/open-interest", "v5/market/tickers"
_DERIBIT, _BITGET = "api/v2/public/get_order_book", {"productType": "usdt-futures", "symbol": "BTCUSDT"}

VENUES = (
    Venue(
        "binance",
        "binance-futures",
        (("fapi/v1/openInterest", {"symbol": "BTCUSDT"}), ("fapi/v1/premiumIndex", {"symbol": "BTCUSDT"})),
        _binance,
    ),
    Venue("binance-coin", "binance-coin", (("dapi/v1/openInterest", {"symbol": "BTCUSD_PERP"}),), _binance_coin),
    Venue(
        "okx",
        "okx",
        tuple((_OKX, {"instType": "SWAP", "instId": name}) for name in ("BTC-USDT-SWAP", "BTC-USD-SWAP")),
        _okx,
    ),
    Venue(
        "bybit",
        "bybit",
        ((_BYBIT, {"category": "linear", "symbol": "BTCUSDT"}), (_BYBIT, {"category": "inverse", "symbol": "BTCUSD"})),
        _bybit,
    ),
    Venue("kraken", "kraken-futures", (("derivatives/api/v3/tickers", {}),), _kraken),
    Venue(
        "deribit",
        "deribit",
        tuple((_DERIBIT, {"instrument_name": name, "depth": "1"}) for name in ("BTC-PERPETUAL", "BTC_USDC-PERPETUAL")),
        _deribit,
    ),
    Venue(
        "bitget",
        "bitget",
        (("api/v2/mix/market/open-interest", _BITGET), ("api/v2/mix/market/symbol-price", _BITGET)),
        _bitget,
    ),
)
