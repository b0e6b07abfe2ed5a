"""Order books of BTC spot, and what rests in them within 2 % of each venue's own mid.

Depth is the sum of price times quantity of the bids from 0.98 mid up and of the asks up to 1.02 mid, where mid is
halfway between the best bid and the best ask. A USDT counts as a dollar. A venue that shows too few levels to reach
2 % on both sides is truncated: its depth is a lower bound, and `reach` says how far from mid it shows both sides.

Deribit is not asked: it has no spot book of bitcoin in dollars to speak of.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
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
    coinbase,
    expect,
    iso,
    kraken,
    milliseconds,
    okx,
    only,
)

SUMMED = ("depth_2pct_usd", "bid_depth_2pct_usd", "ask_depth_2pct_usd")
OLDEST = timedelta(seconds=30)
"""A book that its venue dates earlier than this before its arrival is not the market's any more."""
WITHIN = Decimal("0.02")
DIGITS = Decimal("0.000001")


def depth(bids: Sequence[Any], asks: Sequence[Any], at: datetime | None) -> Reading:
    """What two sides of levels [price, quantity, …] come to; Missing when they are no market."""
    bought, sold = _levels(bids), _levels(asks)
    if not bought or not sold:
        raise Missing("its book is empty" if not bought and not sold else f"its book has no {_empty(bool(bought))}")
    best_bid, best_ask = max(bought)[0], min(sold)[0]
    if best_bid >= best_ask:
        raise Missing(f"its book is crossed: bid {best_bid}, ask {best_ask}")
    mid = (best_bid + best_ask) / 2
    low, high = mid * (1 - WITHIN), mid * (1 + WITHIN)
    lowest, highest = min(bought)[0], max(sold)[0]
    bid_depth = _worth(price * quantity for price, quantity in bought if price >= low)
    ask_depth = _worth(price * quantity for price, quantity in sold if price <= high)
    measures: dict[str, Decimal | bool] = {
        "depth_2pct_usd": bid_depth + ask_depth,
        "bid_depth_2pct_usd": bid_depth,
        "ask_depth_2pct_usd": ask_depth,
        "mid": mid,
        "is_truncated": lowest > low or highest < high,
        "reach": (min(mid - lowest, highest - mid) / mid).quantize(DIGITS),
    }
    return Reading(measures, at)


def _levels(levels: Sequence[Any]) -> list[tuple[Decimal, Decimal]]:
    read = [(amount(level[0]), amount(level[1])) for level in levels]
    return [(price, quantity) for price, quantity in read if price and quantity]


def _empty(has_bids: bool) -> str:
    return "asks" if has_bids else "bids"


def _worth(amounts: Any) -> Decimal:
    return sum(amounts, Decimal(0))


def _binance(body: Any) -> Reading:
    book = binance(body)
    return depth(book["bids"], book["asks"], None)


def _okx(body: Any) -> Reading:
    book = only(okx(body))
    return depth(book["bids"], book["asks"], milliseconds(book["ts"]))


def _bybit(body: Any) -> Reading:
    book = bybit(body)
    expect(book["s"], "BTCUSDT")
    return depth(book["b"], book["a"], milliseconds(book["ts"]))


def _coinbase(body: Any) -> Reading:
    book = coinbase(body)
    return depth(book["bids"], book["asks"], iso(book["time"]) if book.get("time") else None)


def _kraken(body: Any) -> Reading:
    # The result bears another name than the one asked for: XXBTZUSD for XBTUSD.
    book = only([book for name, book in kraken(body).items() if name != "last"])
    return depth(book["bids"], book["asks"], None)


def _bitget(body: Any) -> Reading:
    book = bitget(body)
    return depth(book["bids"], book["asks"], milliseconds(book["ts"]))


def _venue(name: str, read: Callable[[Any], Reading], path: str, **params: str) -> Venue:
    return Venue(name, name, ((path, params),), read)


# Each is asked for as many levels as it gives.
VENUES = (
    _venue("binance", _binance, "api/v3/depth", symbol="BTCUSDT", limit="5000"),
    _venue("okx", _okx, "api/v5/market/books-full", instId="BTC-USDT", sz="5000"),
    _venue("bybit", _bybit, "v5/market/orderbook", category="spot", symbol="BTCUSDT", limit="1000"),
    _venue("coinbase", _coinbase, "products/BTC-USD/book", level="2"),
    _venue("kraken", _kraken, "0/public/Depth", pair="XBTUSD", count="500"),
    _venue("bitget", _bitget, "api/v2/spot/market/orderbook", symbol="BTCUSDT", type="step0", limit="150"),
)
