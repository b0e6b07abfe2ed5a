"""Binance: spot candles and 24-hour statistics, funding of perpetuals. https://developers.binance.com/docs

Real bases: https://api.binance.com for `/api`, https://fapi.binance.com for `/fapi`; both are under one mount here.
What is faithful and what is not is listed in docs/replay.md.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import lru_cache
from uuid import uuid4

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay.binance_candles import HOUR, MINUTE, Candle, Candles, merged, unfinished
from feature_store.replay.binance_limits import Weights
from feature_store.replay.binance_tables import load_hours, load_minutes, load_minutes_as_hours
from feature_store.replay.binance_ticker import ticker
from feature_store.replay.binance_words import JSON, LIMITS, BinanceError, error, family_of, refuse
from feature_store.replay.folder import Folder, History
from feature_store.replay.mount import Mount, Now, from_query

SLUG = "binance"
PERIODS = {"1m": MINUTE, "1h": HOUR}
ELSEWHERE = ("1s", "3m", "5m", "15m", "30m", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""Intervals that Binance has and replay has not."""
KLINES_WEIGHT, FUNDING_WEIGHT = 2, 1
TICKER_WEIGHTS = ((20, 2), (100, 40))
ALL_TICKERS_WEIGHT = 80
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 1000
"""Rows in one answer; who asks for more gets as many."""

SYMBOL, SYMBOL_RANGE = re.compile(r"[A-Z0-9_.-]{1,50}"), r"^[\w\-._&&[^a-z]]{1,50}$"
INTEGER, INTEGER_RANGE = re.compile(r"[0-9]{1,20}"), "^[0-9]{1,20}$"
SYMBOLS = re.compile(r'\[("[A-Z0-9_.-]{1,50}"(,"[A-Z0-9_.-]{1,50}")*)?\]')
SYMBOLS_RANGE = r'^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$'

Answer = Callable[[Folder, QueryParams, int], bytes]


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The three endpoints, and an allowance for each of the two hosts."""
    allowances = {family: Weights(limit) for family, limit in LIMITS.items()}

    def endpoint(answer: Answer, weight: Callable[[QueryParams], int]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            instant = now()
            verdict = allowances[family_of(request)].use(weight(request.query_params))
            if verdict.status == 200:
                response = _answered(answer, folder, request.query_params, _ms(instant))
            else:
                response = refuse(request, verdict.status, "", verdict.retry_after)
                response.headers["Retry-After"] = str(verdict.retry_after)
            response.headers.update(_headers(instant, verdict.used))
            return response

        return serve

    return [
        Route("/api/v3/klines", endpoint(klines, lambda _: KLINES_WEIGHT)),
        Route("/api/v3/ticker/24hr", endpoint(tickers, _ticker_weight)),
        Route("/fapi/v1/fundingRate", endpoint(funding_rate, lambda _: FUNDING_WEIGHT)),
    ]


def klines(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`klines`: candles by open time, the running one as far as it got."""
    symbol = _spot_symbol(folder, params)
    period = PERIODS[_interval(params)]
    start, end, limit = _window(params, default=500)
    candles = _candles(folder, symbol, period)
    if candles is None:
        return b"[]"
    visible = candles.visible(now)
    running = None
    if visible and candles.opens[visible - 1] + period > now:
        running = _running(folder, symbol, candles, now)
        visible -= running is None
    low, high = _page(candles.opens, visible, start, end, limit)
    if running is None or not low < high == visible:
        return b"[" + candles.text(low, high) + b"]"
    rows = (candles.text(low, high - 1), running.line(period))
    return b"[" + b",".join(row for row in rows if row) + b"]"


def tickers(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`ticker/24hr`: an object for `symbol`, a list for `symbols` or for all."""
    if "symbol" in params and "symbols" in params:
        raise BinanceError(-1128, "Combination of optional parameters invalid.")
    mini = _choice(params, "type", "FULL", ("FULL", "MINI")) == "MINI"
    names = [_spot_symbol(folder, params)] if "symbol" in params else _symbols(folder, params)
    found = []
    for name in names:
        candles = _candles(folder, name, MINUTE) or _candles(folder, name, HOUR)
        assert candles is not None
        found.append(ticker(name, candles, now, mini))
    return json.dumps(found[0] if "symbol" in params else found, separators=(",", ":")).encode()


def funding_rate(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`fundingRate`: the settled rates, by the time of their settlement."""
    symbol = _symbol(params)
    start, end, limit = _window(params, default=100)
    history = folder.history(SLUG, "funding_rate", symbol)
    if history is None:
        raise BinanceError(-1121, "Invalid symbol.")
    if start is not None and end is not None and start > end:
        raise BinanceError(-1023, "Start time is greater than end time.")
    times, rows = _settled(history, history.visible(EPOCH + timedelta(milliseconds=now)))
    low, high = _page(times, len(times), start, end, limit)
    return b"[" + b",".join(rows[low:high]) + b"]"


MOUNT = Mount(SLUG, from_query("symbol"), routes, refuse)


def _answered(answer: Answer, folder: Folder, params: QueryParams, now: int) -> Response:
    try:
        return Response(answer(folder, params, now), 200, JSON)
    except BinanceError as refusal:
        return error(400, refusal.code, str(refusal))


def _headers(instant: datetime, used: int) -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Origin": "*",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Connection": "keep-alive",
        "Date": format_datetime(instant.replace(microsecond=0), usegmt=True),
        "Expires": "0",
        "Pragma": "no-cache",
        "Server": "nginx",
        "X-Cache": "Miss from cloudfront",
        "x-mbx-used-weight": str(used),
        "x-mbx-used-weight-1m": str(used),
        "x-mbx-uuid": str(uuid4()),
    }


def _candles(folder: Folder, symbol: str, period: int) -> Candles | None:
    """A table of hours is preferred to the sums of the minutes."""
    if period == MINUTE:
        return folder.read(SLUG, "klines_1m", symbol, load_minutes)
    return folder.read(SLUG, "klines_1h", symbol, load_hours) or folder.read(
        SLUG, "klines_1m", symbol, load_minutes_as_hours
    )


def _running(folder: Folder, symbol: str, candles: Candles, now: int) -> Candle | None:
    """The last candle at `now`, as far as it got; none where it is an hour whose first minute is still to come."""
    at = candles.visible(now) - 1
    opened = candles.opens[at]
    if candles.period == MINUTE or symbol in folder.names(SLUG, "klines_1h"):
        return unfinished(candles.candles(at, at + 1)[0], candles.period, now - opened)
    minutes = _candles(folder, symbol, MINUTE)
    assert minutes is not None
    inside = minutes.candles(*minutes.within(opened, now))
    if inside and inside[-1].opened + MINUTE > now:
        inside[-1] = unfinished(inside[-1], MINUTE, now - inside[-1].opened)
    return replace(merged(inside), opened=opened) if inside else None


@lru_cache(maxsize=64)
def _settled(history: History, visible: int) -> tuple[list[int], list[bytes]]:
    """Times and rows of a history's first `visible` entries; a later one of the same time replaces the earlier."""
    latest = {_ms(row.ts): row for row in history.rows[:visible]}
    rows = {}
    for at, row in sorted(latest.items()):
        if row.value:
            said = {"symbol": history.series, "fundingTime": at, "fundingRate": f"{Decimal(row.value):.8f}"}
            mark = row.further.get("mark_price")
            if mark is not None:
                said["markPrice"] = mark and f"{Decimal(mark):.8f}"
            rows[at] = json.dumps(said, separators=(",", ":")).encode()
    return list(rows), list(rows.values())


def _page(times: Sequence[int], visible: int, start: int | None, end: int | None, limit: int) -> tuple[int, int]:
    """The range of rows: from `start` on where that is given, else the last ones; both bounds included."""
    low = 0 if start is None else bisect_left(times, start)
    high = visible if end is None else min(visible, bisect_right(times, end))
    if start is None:
        return max(low, high - limit), high
    return low, max(low, min(high, low + limit))


def _window(params: QueryParams, default: int) -> tuple[int | None, int | None, int]:
    start, end, limit = (_integer(params, name) for name in ("startTime", "endTime", "limit"))
    if limit == 0:
        raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
    return start, end, default if limit is None else min(limit, MOST)


def _integer(params: QueryParams, name: str) -> int | None:
    text = params.get(name)
    if text is None:
        return None
    if not text:
        raise BinanceError(-1105, f"Parameter '{name}' was empty.")
    if not INTEGER.fullmatch(text):
        raise _illegal(name, INTEGER_RANGE)
    return int(text)


def _interval(params: QueryParams) -> str:
    text = _mandatory(params, "interval")
    if text in ELSEWHERE:
        raise BinanceError(-1120, f"Invalid interval. Replay serves {' and '.join(PERIODS)}.")
    if text not in PERIODS:
        raise BinanceError(-1120, "Invalid interval.")
    return text


def _choice(params: QueryParams, name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = params.get(name, default)
    if text not in allowed:
        raise BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return text


def _symbol(params: QueryParams) -> str:
    text = _mandatory(params, "symbol")
    if not SYMBOL.fullmatch(text):
        raise _illegal("symbol", SYMBOL_RANGE)
    return text


def _spot_symbol(folder: Folder, params: QueryParams) -> str:
    symbol = _symbol(params)
    if symbol not in _spot_names(folder):
        raise BinanceError(-1121, "Invalid symbol.")
    return symbol


def _symbols(folder: Folder, params: QueryParams) -> list[str]:
    known = _spot_names(folder)
    if "symbols" not in params:
        return known
    if not SYMBOLS.fullmatch(params["symbols"]):
        raise _illegal("symbols", SYMBOLS_RANGE)
    names: list[str] = json.loads(params["symbols"])
    if len(set(names)) < len(names):
        raise BinanceError(-1151, "Symbol is present multiple times in the list.")
    if not set(names) <= set(known):
        raise BinanceError(-1121, "Invalid symbol.")
    return names


def _spot_names(folder: Folder) -> list[str]:
    return sorted({name for stream in ("klines_1m", "klines_1h") for name in folder.names(SLUG, stream)})


def _mandatory(params: QueryParams, name: str) -> str:
    text = params.get(name)
    if not text:
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return text


def _illegal(name: str, legal: str) -> BinanceError:
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def _ticker_weight(params: QueryParams) -> int:
    if "symbol" in params:
        return 2
    count = params["symbols"].count(",") + 1 if "symbols" in params else MOST
    return next((weight for most, weight in TICKER_WEIGHTS if count <= most), ALL_TICKERS_WEIGHT)


def _ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)
