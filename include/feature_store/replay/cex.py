"""The venues of the CEX aggregator: books of BTC spot, open interest of BTC perpetuals, each in its own wire format.

`/cex/<host>` answers as the host of that name in the catalog does. There are no files: prices follow Binance's
minutes of BTCUSDT, the rest is invented. What is faithful and what is not is listed in docs/replay.md.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay import cex_books, cex_open_interest
from feature_store.replay.binance_candles import MINUTE, UNIT, unfinished
from feature_store.replay.binance_tables import load_minutes
from feature_store.replay.cex_words import UnknownSymbol, refuse, said, unknown_symbol
from feature_store.replay.folder import Folder
from feature_store.replay.invented_cex import Moment
from feature_store.replay.mount import Mount, Now

SYMBOL, SERIES = "BTCUSDT", "BTC"
Answer = Callable[[QueryParams, Moment], Any]

ANSWERS: dict[str, Answer] = {**cex_books.ANSWERS, **cex_open_interest.ANSWERS}
"""Host and path → what answers."""


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """Every endpoint of every venue."""

    def endpoint(host: str, answer: Answer) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            at = now()
            try:
                return said(answer(request.query_params, _moment(folder, at)))
            except UnknownSymbol:
                return unknown_symbol(host, round(at.timestamp() * 1000))

        return serve

    return [Route(f"/{place}", endpoint(place.partition("/")[0], answer)) for place, answer in ANSWERS.items()]


def _moment(folder: Folder, at: datetime) -> Moment:
    """The market at an instant, by the newest candle as far as it got; without one no venue knows bitcoin."""
    candles = folder.read("binance", "klines_1m", SYMBOL, load_minutes)
    now = round(at.timestamp() * 1000)
    opened = candles.visible(now) if candles else 0
    if candles is None or not opened:
        raise UnknownSymbol
    newest = candles.candles(opened - 1, opened)[0]
    if newest.opened + MINUTE > now:
        newest = unfinished(newest, MINUTE, now - newest.opened)
    return Moment(newest.close / UNIT, at)


MOUNT = Mount("cex", lambda _: SERIES, routes, refuse)
