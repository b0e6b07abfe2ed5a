"""Binance: spot candles, settled funding, 24-hour statistics. https://developers.binance.com/docs/binance-spot-api-docs

Market data needs no key. Instants are integers, numbers are strings. The newest candle is open until its close time;
whether it was when the answer arrived is decided at loading, against the release rule.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused, Retriable
from feature_store.sources.contract import Block, Payload, Row, Window, check_fields
from feature_store.sources.http import Http

logger = logging.getLogger(__name__)

SECRET_PARAMS: dict[str, str] = {}

KLINES, FUNDING, TICKER = "api/v3/klines", "fapi/v1/fundingRate", "api/v3/ticker/24hr"
INTERVALS = {"klines_1m": "1m", "klines_1h": "1h"}
LENGTHS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1)}
ROWS_A_CALL = 1000

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
EIGHT_NUMBERS = re.compile(r"(?:(?:[0-9]++(?:\.[0-9]++)? ){7}[0-9]++(?:\.[0-9]++)?\n)*+")
"""Lines of eight numbers without sign."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)
FIRST_MICROSECONDS = 10**15
"""Bulk files since 2025, and answers asked for so, count microseconds: 16 digits instead of 13."""

SHORT_OF_BREATH = frozenset({-1000, -1001, -1007})
"""Codes of an overloaded or disconnected server, which it may send with status 400: the same request may succeed."""

_KLINE_CELLS = 12
_KLINE = {
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "close_time": 6,
    "quote_volume": 7,
    "trades": 8,
    "taker_base_volume": 9,
    "taker_quote_volume": 10,
}
"""Column of the raw table → place in a candle; its first cell is the open time."""
_FUNDING = frozenset({"symbol", "fundingTime", "fundingRate"})
_TICKER = {
    "priceChange": "price_change",
    "priceChangePercent": "price_change_percent",
    "weightedAvgPrice": "weighted_avg_price",
    "prevClosePrice": "prev_close_price",
    "lastPrice": "last_price",
    "lastQty": "last_qty",
    "bidPrice": "bid_price",
    "bidQty": "bid_qty",
    "askPrice": "ask_price",
    "askQty": "ask_qty",
    "openPrice": "open_price",
    "highPrice": "high_price",
    "lowPrice": "low_price",
    "volume": "volume",
    "quoteVolume": "quote_volume",
}
_TICKER_COUNTS = {"firstId": "first_id", "lastId": "last_id", "count": "count"}
_TICKER_FIELDS = frozenset({"symbol", "openTime", "closeTime", *_TICKER, *_TICKER_COUNTS})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """Candles and settlements of the window, page by page; of a snapshot stream, the one answer of now."""
    if series.stream in INTERVALS:
        interval = INTERVALS[series.stream]
        params = {"symbol": series.name, "interval": interval}
        return _pages(http, KLINES, params, window, lambda rows: _instant(rows[-1][0]) + LENGTHS[interval])
    if series.stream == "funding_rate":
        return _pages(
            http, FUNDING, {"symbol": series.name}, window, lambda rows: _instant(rows[-1]["fundingTime"]) + MILLISECOND
        )
    return iter([_get(http, TICKER, {"symbol": series.name})])


def parse(payload: Payload) -> Iterator[Row | Block]:
    """Rows of an answer; raises Malformed when it is not what was asked for."""
    content = payload.json()
    if payload.endpoint == TICKER:
        yield _ticker(payload, content)
        return
    if not isinstance(content, list):
        raise Malformed(f"{payload.url} answered no list but {str(content)[:200]!r}", payload)
    if payload.endpoint == FUNDING:
        yield from _settlements(payload, content)
    elif content:
        yield _candles(payload, content)


def _candles(payload: Payload, content: list[list[Any]]) -> Block:
    cells = {len(candle) for candle in content}
    if min(cells) < _KLINE_CELLS:
        raise Malformed(f"{payload.url}: a candle has {min(cells)} cells instead of {_KLINE_CELLS}", payload)
    if max(cells) > _KLINE_CELLS:
        logger.warning(
            "%s: candles have unknown cells %s: read on without them", payload.url, content[0][_KLINE_CELLS:]
        )
    columns = list(zip(*content, strict=False))
    opened, closed = _instants(columns[0]), _instants(columns[6])
    _check_span(payload, opened, closed)
    numbers = [columns[place] for place in (1, 2, 3, 4, 5, 7, 9, 10)]
    if not EIGHT_NUMBERS.fullmatch("".join(map("%s %s %s %s %s %s %s %s\n".__mod__, zip(*numbers, strict=True)))):
        raise Malformed(f"{payload.url}: some cells of candles are no decimals", payload)
    for first, high, low, last in zip(*(map(float, column) for column in columns[1:5]), strict=True):
        if not (0 < low <= first <= high and low <= last <= high):
            raise Malformed(f"{payload.url}: prices contradict each other: {first}, {high}, {low}, {last}", payload)
    if set(map(type, columns[8])) != {int}:
        raise Malformed(f"{payload.url}: a number of trades is no integer", payload)
    values = {name: columns[place] for name, place in _KLINE.items()}
    return Block(payload.params["symbol"], opened, {**values, "close_time": closed})


def _check_span(payload: Payload, opened: Sequence[datetime], closed: Sequence[datetime]) -> None:
    first_asked, last_asked = _asked(payload)
    for ts in (min(opened), max(opened)):
        if not first_asked <= ts <= last_asked:
            raise _not_asked(payload, ts)
    length = LENGTHS[payload.params["interval"]]
    for ts, end in zip(opened, closed, strict=True):
        if not length - MILLISECOND <= end - ts < length:
            raise Malformed(f"{payload.url}: the candle of {ts.isoformat()} closes at {end.isoformat()}", payload)


def _settlements(payload: Payload, content: list[dict[str, Any]]) -> Iterator[Row]:
    asked = _asked(payload)
    for row in content:
        # Old rows have no mark price, or an empty one.
        check_fields(payload, {name: value for name, value in row.items() if name != "markPrice"}, _FUNDING)
        _check_symbol(payload, row)
        settled = _instant(row["fundingTime"])
        if not asked[0] <= settled <= asked[1]:
            raise _not_asked(payload, settled)
        mark = row.get("markPrice")
        yield Row(
            row["symbol"],
            _to_the_second(settled),
            {
                "funding_time": settled,
                "funding_rate": _number(row["fundingRate"]),
                "mark_price": None if mark in (None, "") else _number(mark),
            },
        )


def _ticker(payload: Payload, row: dict[str, Any]) -> Row:
    if not isinstance(row, dict):
        raise Malformed(f"{payload.url} answered no object but {str(row)[:200]!r}", payload)
    check_fields(payload, row, _TICKER_FIELDS)
    _check_symbol(payload, row)
    return Row(
        row["symbol"],
        _instant(row["closeTime"]),
        {
            **{column: _number(row[name]) for name, column in _TICKER.items()},
            "open_time": _instant(row["openTime"]),
            **{column: _count(row[name]) for name, column in _TICKER_COUNTS.items()},
        },
    )


def _pages(
    http: Http,
    endpoint: str,
    params: Mapping[str, str],
    window: Window,
    after: Callable[[list[Any]], datetime],
) -> Iterator[Payload]:
    """All rows from the window's start (the beginning without one) to before its end; `after` says where to go on.

    An empty page ends it, a short one does not: the source may lower its limit.
    """
    cursor = window.since or EPOCH
    while cursor < window.until:
        page = _get(
            http,
            endpoint,
            {
                **params,
                "startTime": str((cursor - EPOCH) // MILLISECOND),
                "endTime": str((window.until - EPOCH) // MILLISECOND - 1),
                "limit": str(ROWS_A_CALL),
            },
        )
        yield page
        rows = page.json()
        if not isinstance(rows, list) or not rows:
            return
        try:
            following = after(rows)
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


def _asked(payload: Payload) -> tuple[datetime, datetime]:
    return _instant(int(payload.params["startTime"])), _instant(int(payload.params["endTime"]))


def _not_asked(payload: Payload, ts: datetime) -> Malformed:
    return Malformed(f"{payload.url}: {ts.isoformat()} was not asked for: were startTime or endTime ignored?", payload)


def _check_symbol(payload: Payload, row: Mapping[str, Any]) -> None:
    if row["symbol"] != payload.params["symbol"]:
        raise Malformed(f"{payload.url} answered for {row['symbol']!r}", payload)


def _instant(value: Any) -> datetime:
    """An instant in integer milliseconds, or microseconds where it has that many digits."""
    if type(value) is not int:
        raise Malformed(f"{value!r} is no instant: integer milliseconds were due")
    return EPOCH + value * (MILLISECOND if value < FIRST_MICROSECONDS else MICROSECOND)


def _instants(values: Sequence[Any]) -> list[datetime]:
    if set(map(type, values)) != {int} or max(values) >= FIRST_MICROSECONDS:
        return [_instant(value) for value in values]
    return [EPOCH + value * MILLISECOND for value in values]


def _to_the_second(instant: datetime) -> datetime:
    """The funding slot: settlements are stamped up to 47 ms after it."""
    return (instant + timedelta(milliseconds=500)).replace(microsecond=0)


def _number(text: Any) -> str:
    """A number as Binance wrote it."""
    if type(text) is not str or not NUMBER.fullmatch(text):
        raise Malformed(f"{text!r} is no number: a decimal in a string was due")
    return text


def _count(value: Any) -> int:
    if type(value) is not int:
        raise Malformed(f"{value!r} is no count: an integer was due")
    return value
