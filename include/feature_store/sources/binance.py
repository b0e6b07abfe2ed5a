"""Binance: spot candles, statistics and order book; funding and open interest of perpetuals. https://developers.binance.com/docs

Market data needs no key. Instants are integers, numbers are strings. The newest candle is open until its close time;
whether it was when the answer arrived is decided at loading, against the release rule.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused, Retriable
from feature_store.sources.binance_book import book
from feature_store.sources.binance_candles import LENGTHS, candles
from feature_store.sources.binance_futures import (
    PERIOD,
    PERIOD_LENGTH,
    history_instant,
    open_interest,
    open_interest_hist,
    settlements,
)
from feature_store.sources.binance_ticker import ticker
from feature_store.sources.binance_words import EPOCH, MILLISECOND, instant
from feature_store.sources.contract import Block, Payload, Row, Window
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}

KLINES, TICKER, DEPTH = "api/v3/klines", "api/v3/ticker/24hr", "api/v3/depth"
FUNDING, OPEN_INTEREST = "fapi/v1/fundingRate", "fapi/v1/openInterest"
OPEN_INTEREST_HIST = "futures/data/openInterestHist"
SNAPSHOTS = {
    "ticker_24h": (TICKER, {}),
    "depth": (DEPTH, {"limit": "5000"}),
    "open_interest": (OPEN_INTEREST, {}),
}
"""Stream → endpoint and further parameters of an answer that is of now; less of the book would not reach 2 %."""
INTERVALS = {"klines_1m": "1m", "klines_1h": "1h"}
ROWS_A_CALL, HISTORY_ROWS_A_CALL = 1000, 500
HISTORY_DAYS = timedelta(days=30)

SHORT_OF_BREATH = frozenset({-1000, -1001, -1007})
"""Codes of an overloaded or disconnected server, which it may send with status 400: the same request may succeed."""

After = Callable[[Any], datetime]
"""Says from where to go on, by the last row of a page."""


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """Candles, settlements and open interest of the window, page by page; of a snapshot stream, the answer of now."""
    asked = {"symbol": series.name}
    if series.stream in SNAPSHOTS:
        endpoint, further = SNAPSHOTS[series.stream]
        return iter([_get(http, endpoint, {**asked, **further})])
    if series.stream == "funding_rate":
        return _pages(http, FUNDING, asked, window, lambda row: instant(row["fundingTime"]) + MILLISECOND)
    if series.stream == "open_interest_hist":
        return _history(http, asked, window)
    interval = INTERVALS[series.stream]
    asked["interval"] = interval
    return _pages(http, KLINES, asked, window, lambda row: instant(row[0]) + LENGTHS[interval])


def parse(payload: Payload) -> Iterator[Row | Block]:
    """Rows of an answer; raises Malformed when it is not what was asked for."""
    content, endpoint = payload.json(), payload.endpoint
    if endpoint == TICKER:
        yield ticker(payload, content)
    elif endpoint == DEPTH:
        yield book(payload, content)
    elif endpoint == OPEN_INTEREST:
        yield open_interest(payload, content)
    elif not isinstance(content, list):
        raise Malformed(f"{payload.url} answered no list but {str(content)[:200]!r}", payload)
    elif endpoint == FUNDING:
        yield from settlements(payload, content)
    elif endpoint == OPEN_INTEREST_HIST:
        yield from open_interest_hist(payload, content)
    elif content:
        yield candles(payload, content)


def _history(http: Http, asked: Mapping[str, str], window: Window) -> Iterator[Payload]:
    """Open interest in spans of as many rows as an answer holds: which ones it leaves out of a longer one, the start's
    or the end's, is documented nowhere."""
    cursor = window.since or window.until - HISTORY_DAYS
    while cursor < window.until:
        end = min(cursor + HISTORY_ROWS_A_CALL * PERIOD_LENGTH, window.until)
        params = {**asked, "period": PERIOD, "limit": str(HISTORY_ROWS_A_CALL)}
        yield from _pages(
            http, OPEN_INTEREST_HIST, params, Window(cursor, end), lambda row: history_instant(row) + PERIOD_LENGTH
        )
        cursor = end


def _pages(http: Http, endpoint: str, params: Mapping[str, str], window: Window, after: After) -> Iterator[Payload]:
    """All rows from the window's start (the beginning without one) to before its end.

    An empty page ends it, a short one does not: the source may lower its limit.
    """
    cursor = window.since or EPOCH
    while cursor < window.until:
        start, end = (cursor - EPOCH) // MILLISECOND, (window.until - EPOCH) // MILLISECOND - 1
        limit = params.get("limit", str(ROWS_A_CALL))
        page = _get(http, endpoint, {**params, "startTime": str(start), "endTime": str(end), "limit": limit})
        yield page
        rows = page.json()
        if not isinstance(rows, list) or not rows:
            return
        try:
            following = after(rows[-1])
        except (LookupError, TypeError) as error:
            raise Malformed(f"{page.url}: its last row cannot be read ({error!r})", page) from None
        if following <= cursor:
            raise Malformed(f"{page.url}: its last row does not lie after the start that was asked for", page)
        cursor = following


def _get(http: Http, endpoint: str, params: Mapping[str, str]) -> Payload:
    try:
        return http.get(endpoint, params)
    except Refused as error:
        if error.payload is not None and _code(error.payload) in SHORT_OF_BREATH:
            raise Retriable(str(error), error.payload) from None
        raise


def _code(payload: Payload) -> int | None:
    try:
        content = payload.json()
    except Malformed:
        return None
    return content.get("code") if isinstance(content, dict) else None
