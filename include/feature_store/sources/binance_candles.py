"""Binance's spot candles. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints"""

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from feature_store.errors import Malformed
from feature_store.sources.binance_words import MILLISECOND, check_asked, instants
from feature_store.sources.contract import Block, Payload

logger = logging.getLogger(__name__)

LENGTHS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1)}
"""Interval of a request → length of its candles."""
EIGHT_NUMBERS = re.compile(r"(?:(?:[0-9]++(?:\.[0-9]++)? ){7}[0-9]++(?:\.[0-9]++)?\n)*+")
"""Lines of eight numbers without sign."""

_CELLS = 12
_PLACES = {
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


def candles(payload: Payload, content: list[list[Any]]) -> Block:
    """The candles of an answer that has some; Malformed when a cell is wrong, or a candle was not asked for."""
    cells = {len(candle) for candle in content}
    if min(cells) < _CELLS:
        raise Malformed(f"{payload.url}: a candle has {min(cells)} cells instead of {_CELLS}", payload)
    if max(cells) > _CELLS:
        logger.warning("%s: candles have unknown cells %s: read on without them", payload.url, content[0][_CELLS:])
    columns = list(zip(*content, strict=False))
    opened, closed = instants(columns[0]), instants(columns[6])
    _check_span(payload, opened, closed)
    numbers = [columns[place] for place in (1, 2, 3, 4, 5, 7, 9, 10)]
    if not EIGHT_NUMBERS.fullmatch("".join(map("%s %s %s %s %s %s %s %s\n".__mod__, zip(*numbers, strict=True)))):
        raise Malformed(f"{payload.url}: some cells of candles are no decimals", payload)
    for first, high, low, last in zip(*(map(float, column) for column in columns[1:5]), strict=True):
        if not (0 < low <= first <= high and low <= last <= high):
            raise Malformed(f"{payload.url}: prices contradict each other: {first}, {high}, {low}, {last}", payload)
    if set(map(type, columns[8])) != {int}:
        raise Malformed(f"{payload.url}: a number of trades is no integer", payload)
    values = {name: columns[place] for name, place in _PLACES.items()}
    return Block(payload.params["symbol"], opened, {**values, "close_time": closed})


def _check_span(payload: Payload, opened: Sequence[datetime], closed: Sequence[datetime]) -> None:
    check_asked(payload, min(opened), max(opened))
    length = LENGTHS[payload.params["interval"]]
    for ts, end in zip(opened, closed, strict=True):
        if not length - MILLISECOND <= end - ts < length:
            raise Malformed(f"{payload.url}: the candle of {ts.isoformat()} closes at {end.isoformat()}", payload)
