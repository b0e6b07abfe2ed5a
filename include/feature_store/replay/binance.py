"""Binance: spot candles, statistics and order book; funding and open interest of perpetuals. https://developers.binance.com/docs

Real bases: https://api.binance.com for `/api`, https://fapi.binance.com for `/fapi` and `/futures`; both are under one
mount here.
What is faithful and what is not is listed in docs/replay.md.
"""

import json
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

from feature_store.replay.binance_asked import (
    MOST,
    PERIODS,
    SLUG,
    choice,
    integer,
    interval,
    mandatory,
    spot_symbol,
    symbol,
    symbols,
    window,
)
from feature_store.replay.binance_candles import DAY, HOUR, MINUTE, Candle, Candles, merged, unfinished
from feature_store.replay.binance_depth import MOST_LEVELS, NOBODY, book
from feature_store.replay.binance_interest import Interests, load_interests
from feature_store.replay.binance_limits import Weights
from feature_store.replay.binance_tables import load_hours, load_minutes, load_minutes_as_hours
from feature_store.replay.binance_ticker import ticker
from feature_store.replay.binance_words import JSON, LIMITS, BinanceError, error, family_of, refuse
from feature_store.replay.folder import Folder, History
from feature_store.replay.mount import Mount, Now, from_query

KLINES_WEIGHT, FUNDING_WEIGHT, INTEREST_WEIGHT, INTEREST_HIST_WEIGHT = 2, 1, 1, 0
TICKER_WEIGHTS = ((20, 2), (100, 40))
ALL_TICKERS_WEIGHT = 80
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
WHOLE_DEPTH_WEIGHT = 250
INTEREST_PERIOD, MOST_INTERESTS = "5m", 500
INTEREST_REACH = 30 * DAY
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Answer = Callable[[Folder, QueryParams, int], bytes]


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The endpoints, and an allowance for each of the two hosts."""
    allowances = {family: Weights(limit) for family, limit in LIMITS.items()}

    def endpoint(answer: Answer, weight: Callable[[QueryParams], int]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            instant = now()
            minute = _ms(instant) // MINUTE
            verdict = allowances[family_of(request)].use(weight(request.query_params), minute)
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
        Route("/api/v3/depth", endpoint(depth, _depth_weight)),
        Route("/fapi/v1/fundingRate", endpoint(funding_rate, lambda _: FUNDING_WEIGHT)),
        Route("/fapi/v1/openInterest", endpoint(open_interest, lambda _: INTEREST_WEIGHT)),
        Route("/futures/data/openInterestHist", endpoint(open_interest_hist, lambda _: INTEREST_HIST_WEIGHT)),
    ]


def klines(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`klines`: candles by open time, the running one as far as it got."""
    symbol = spot_symbol(folder, params)
    period = PERIODS[interval(params)]
    start, end, limit = window(params, default=500)
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
    mini = choice(params, "type", "FULL", ("FULL", "MINI")) == "MINI"
    names = [spot_symbol(folder, params)] if "symbol" in params else symbols(folder, params)
    found = []
    for name in names:
        candles = _candles(folder, name, MINUTE) or _candles(folder, name, HOUR)
        assert candles is not None
        found.append(ticker(name, candles, now, mini))
    return json.dumps(found[0] if "symbol" in params else found, separators=(",", ":")).encode()


def funding_rate(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`fundingRate`: the settled rates, by the time of their settlement."""
    name = symbol(params)
    start, end, limit = window(params, default=100)
    history = folder.history(SLUG, "funding_rate", name)
    if history is None:
        raise BinanceError(-1121, "Invalid symbol.")
    if start is not None and end is not None and start > end:
        raise BinanceError(-1023, "Start time is greater than end time.")
    times, rows = _settled(history, history.visible(EPOCH + timedelta(milliseconds=now)))
    low, high = _page(times, len(times), start, end, limit)
    return b"[" + b",".join(rows[low:high]) + b"]"


def depth(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`depth`: an invented book around the newest price."""
    name = spot_symbol(folder, params)
    limit = integer(params, "limit")
    if limit == 0:
        raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
    candles = _candles(folder, name, MINUTE) or _candles(folder, name, HOUR)
    assert candles is not None
    price = _price(folder, name, candles, now)
    return book(name, price, now, min(limit or 100, MOST_LEVELS)) if price else NOBODY % now


def open_interest(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`openInterest`: what the newest row of the history says."""
    name, known = _interests(folder, params)
    at = known.visible(now)
    if not at:
        raise BinanceError(-1121, "Invalid symbol.")
    said = {"symbol": name, "openInterest": known.amounts[at - 1], "time": now}
    return json.dumps(said, separators=(",", ":")).encode()


def open_interest_hist(folder: Folder, params: QueryParams, now: int) -> bytes:
    """`openInterestHist`: every five minutes of the last 30 days."""
    name, known = _interests(folder, params)
    if mandatory(params, "period") != INTEREST_PERIOD:
        raise BinanceError(-1130, f"parameter 'period' is invalid. Replay serves {INTEREST_PERIOD}.")
    limit = integer(params, "limit")
    if limit is not None and not 0 < limit <= MOST_INTERESTS:
        raise BinanceError(-1130, "parameter 'limit' is invalid.")
    start, end = integer(params, "startTime"), integer(params, "endTime")
    if start is not None and start < now - INTEREST_REACH:
        raise BinanceError(-1130, "parameter 'startTime' is invalid.")
    low, high = _page(known.times, known.visible(now), start, end, limit or 30)
    low = max(low, known.visible(now - INTEREST_REACH))
    return json.dumps([known.row(name, at) for at in range(low, high)], separators=(",", ":")).encode()


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


def _price(folder: Folder, symbol: str, candles: Candles, now: int) -> int:
    """The newest price at `now`, in 1e-8; 0 before the first candle."""
    at = candles.visible(now) - 1
    if at < 0:
        return 0
    is_open = candles.opens[at] + candles.period > now
    newest = _running(folder, symbol, candles, now) if is_open else None
    return (newest or candles.candles(at, at + 1)[0]).close


def _interests(folder: Folder, params: QueryParams) -> tuple[str, Interests]:
    name = symbol(params)
    known = folder.read(SLUG, "open_interest_hist", name, load_interests)
    if known is None:
        raise BinanceError(-1121, "Invalid symbol.")
    return name, known


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


def _ticker_weight(params: QueryParams) -> int:
    if "symbol" in params:
        return 2
    count = params["symbols"].count(",") + 1 if "symbols" in params else MOST
    return next((weight for most, weight in TICKER_WEIGHTS if count <= most), ALL_TICKERS_WEIGHT)


def _depth_weight(params: QueryParams) -> int:
    limit = params.get("limit", "")
    levels = int(limit) if limit.isdecimal() else 100
    return next((weight for most, weight in DEPTH_WEIGHTS if levels <= most), WHOLE_DEPTH_WEIGHT)


def _ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)
