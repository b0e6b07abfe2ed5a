"""Books of BTC spot, in the shape of each venue. Numbers are text everywhere; prices are in dollars or USDT."""

from typing import Any

from starlette.datastructures import QueryParams

from feature_store.replay.cex_words import UnknownSymbol
from feature_store.replay.invented_cex import Level, Moment, book


def _binance(params: QueryParams, moment: Moment) -> Any:
    bids, asks = _asked("binance", params, moment, "symbol", "BTCUSDT", ("limit", 100, 5000))
    return {"lastUpdateId": moment.ms // 10, "bids": bids, "asks": asks}


def _okx(params: QueryParams, moment: Moment) -> Any:
    bids, asks = (
        [[*level, "1"] for level in side]
        for side in _asked("okx", params, moment, "instId", "BTC-USDT", ("sz", 1, 5000))
    )
    return {"code": "0", "msg": "", "data": [{"asks": asks, "bids": bids, "ts": str(moment.ms)}]}


def _bybit(params: QueryParams, moment: Moment) -> Any:
    bids, asks = _asked("bybit", params, moment, "symbol", "BTCUSDT", ("limit", 1, 1000))
    at = moment.ms
    result = {"s": "BTCUSDT", "b": bids, "a": asks, "ts": at, "u": at // 100, "seq": at // 10, "cts": at}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": at + 50}


def _coinbase(params: QueryParams, moment: Moment) -> Any:
    levels = {"1": 1, "2": 5000}.get(params.get("level", "1"), 1)
    bids, asks = ([[*level, 1] for level in side] for side in book("coinbase", moment, levels))
    more = {"sequence": moment.ms, "auction_mode": False, "auction": None, "time": f"{moment.at:%Y-%m-%dT%H:%M:%S.%fZ}"}
    return {"bids": bids, "asks": asks, **more}


def _kraken(params: QueryParams, moment: Moment) -> Any:
    bids, asks = (
        [[*level, moment.ms // 1000] for level in side]
        for side in _asked("kraken", params, moment, "pair", "XBTUSD", ("count", 100, 500))
    )
    return {"error": [], "result": {"XXBTZUSD": {"asks": asks, "bids": bids}}}


def _bitget(params: QueryParams, moment: Moment) -> Any:
    bids, asks = _asked("bitget", params, moment, "symbol", "BTCUSDT", ("limit", 150, 150))
    data = {"asks": asks, "bids": bids, "ts": str(moment.ms)}
    return {"code": "00000", "msg": "success", "requestTime": moment.ms + 5, "data": data}


ANSWERS = {
    "binance/api/v3/depth": _binance,
    "okx/api/v5/market/books-full": _okx,
    "bybit/v5/market/orderbook": _bybit,
    "coinbase/products/BTC-USD/book": _coinbase,
    "kraken/0/public/Depth": _kraken,
    "bitget/api/v2/spot/market/orderbook": _bitget,
}
"""Host and path → what answers."""


def _asked(
    venue: str, params: QueryParams, moment: Moment, name: str, symbol: str, limit: tuple[str, int, int]
) -> tuple[list[Level], list[Level]]:
    """The book with as many levels as the parameter `limit` says: (name, default, most)."""
    if params.get(name) != symbol:
        raise UnknownSymbol
    levels, usual, most = limit
    text = params.get(levels, "")
    return book(venue, moment, min(int(text) if text.isdecimal() else usual, most))
