"""TradingView's UDF protocol, as a datafeed of daily bars. https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF/

The real base is the user's own. What is faithful and what is not is listed in docs/replay.md.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from feature_store.replay.folder import Folder
from feature_store.replay.mount import Mount, Now, from_query
from feature_store.replay.tradingview_bars import Bar, load_bars, shown

SLUG, STREAM = "tradingview", "history"
RESOLUTIONS = ("D", "1D")
CALENDAR = "24x7"
"""Of a symbol that the catalog does not know."""
SESSIONS = {"nyse": "0930-1600", "fx-weekdays": "1800-1700"}
REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
COLUMNS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}


class UdfError(Exception):
    """A request that a datafeed answers with `s: error`."""


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """What a client of bars needs."""

    def endpoint(answer: Callable[[Folder, QueryParams, datetime], Any]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            instant = now()
            try:
                said = answer(folder, request.query_params, instant)
            except UdfError as error:
                said = {"s": "error", "errmsg": str(error)}
            return _json(said, instant)

        return serve

    def time(_: Request) -> Response:
        return PlainTextResponse(str(int(now().timestamp())))

    return [
        Route("/config", endpoint(config)),
        Route("/symbols", endpoint(symbols)),
        Route("/time", time),
        Route("/history", endpoint(history)),
    ]


def config(_: Folder, __: QueryParams, ___: datetime) -> dict[str, Any]:
    """`config`: what the datafeed can do."""
    return {
        "supports_search": False,
        "supports_group_request": False,
        "supported_resolutions": ["1D"],
        "supports_marks": False,
        "supports_timescale_marks": False,
        "supports_time": True,
    }


def symbols(folder: Folder, params: QueryParams, _: datetime) -> dict[str, Any]:
    """`symbols`: what a symbol is."""
    symbol, bars, calendar = _known(folder, params)
    exchange, name = symbol.rpartition(":")[::2]
    decimals = max((-int(bar.close.as_tuple().exponent) for bar in bars), default=2)
    return {
        "name": name,
        "exchange-traded": exchange,
        "exchange-listed": exchange,
        "timezone": "America/New_York" if calendar in SESSIONS else "Etc/UTC",
        "minmov": 1,
        "minmov2": 0,
        "pointvalue": 1,
        "session": SESSIONS.get(calendar, "24x7"),
        "has_intraday": False,
        "has_no_volume": all(bar.volume is None for bar in bars),
        "description": name,
        "type": "index",
        "supported_resolutions": ["1D"],
        "pricescale": 10**decimals,
        "ticker": symbol,
    }


def history(folder: Folder, params: QueryParams, now: datetime) -> dict[str, Any]:
    """`history`: bars from `from` to before `to`, or the last `countback` of those before it."""
    _, bars, calendar = _known(folder, params)
    if params.get("resolution", RESOLUTIONS[0]) not in RESOLUTIONS:
        raise UdfError("Invalid request.Invalid Resolution.")
    until, countback = _integer(params, "to", int(now.timestamp()) + 1), _integer(params, "countback", 0)
    since = _integer(params, "from", 0)
    known = shown(bars, calendar, now)
    times = [int(bar.ts.timestamp()) for bar in known]
    high = bisect_left(times, until)
    low = max(0, high - countback) if countback else bisect_left(times, since)
    if low >= high:
        return {"s": "no_data", "nextTime": times[min(low, high) - 1] if min(low, high) else None}
    return {"t": times[low:high], **_columns(bars, known[low:high]), "s": "ok"}


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """The body of an error; a datafeed has no words of its own for statuses."""
    del request, retry_after  # neither makes a difference to the body
    said = {"s": "error", "errmsg": message or REASONS.get(status, "Internal Server Error")}
    return _json(said, None, status)


MOUNT = Mount(SLUG, from_query("symbol"), routes, refuse)


def _known(folder: Folder, params: QueryParams) -> tuple[str, Sequence[Bar], str]:
    symbol = params.get("symbol", "")
    bars = folder.read(SLUG, STREAM, symbol.replace(":", "_"), load_bars) if "_" not in symbol else None
    if bars is None:
        raise UdfError("unknown_symbol")
    return symbol, bars, folder.calendar(SLUG, STREAM, symbol) or CALENDAR


def _integer(params: QueryParams, name: str, default: int) -> int:
    text = params.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UdfError(f"Invalid request. Invalid {name}.") from None


def _columns(bars: Sequence[Bar], found: Sequence[Bar]) -> dict[str, list[Any]]:
    """Column by column; one that is empty in the whole table the datafeed does not have."""
    held = {letter: name for letter, name in COLUMNS.items() if any(getattr(bar, name) is not None for bar in bars)}
    return {letter: [_number(getattr(bar, name)) for bar in found] for letter, name in held.items()}


def _number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _json(said: Any, instant: datetime | None, status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
    if instant is not None:
        headers["Date"] = format_datetime(instant.replace(microsecond=0), usegmt=True)
    return Response(json.dumps(said, separators=(",", ":")), status, headers)
