"""TradingView: daily bars of indices over the UDF protocol. https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF/

Anybody may run such a datafeed, and the address of the user's own is a secret. `from` is included, `to` is not; a
server may limit its answers to the newest bars of a range, so fetching goes back until nothing earlier is left. The
newest bar may be open: whether it was when the answer arrived is decided at loading, against the release rule.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import ceil
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused
from feature_store.sources.contract import Payload, Row, Window, check_fields
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}

HISTORY, RESOLUTION = "history", "1D"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MILLISECONDS = 10**11
"""Some servers count milliseconds: 12 or 13 digits, where seconds have at most 10 until 2286."""
LATEST_OPEN = timedelta(hours=15)
"""Some servers stamp a day's bar with its session's open, which in New York lies at 13:30 or 14:30 UTC, or with the
exchange's midnight. Later than that it may be the evening before a session, or a close: no date can be told from it."""

_COLUMNS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
_REQUIRED = frozenset({"s", "t", "c"})
_OPTIONAL = frozenset({"o", "h", "l", "v", "nextTime"})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """Ask for the bars of the window (from its first day on), the newest first, until none is left."""
    day = window.since or EPOCH
    since = _seconds_of(day.replace(hour=0, minute=0, second=0, microsecond=0))
    until = _seconds_of(window.until)
    while since < until:
        asked = {"symbol": series.name, "resolution": RESOLUTION, "from": str(since), "to": str(until)}
        page = http.get(HISTORY, asked)
        _refuse_errors(page)
        yield page
        following = _following(page)
        if following is None:
            return
        if following >= until:
            raise Malformed(f"{page.url}: nothing earlier than `to` came, and it names no earlier bar", page)
        until = following


def parse(payload: Payload) -> Iterator[Row]:
    """Rows of an answer, dated by the trading day; raises Malformed when it is not what was asked for."""
    days = _days(payload)
    if not days:
        return
    said = payload.json()
    check_fields(payload, {name: value for name, value in said.items() if name not in _OPTIONAL}, _REQUIRED)
    columns = {column: _numbers(payload, said, name, len(days)) for name, column in _COLUMNS.items()}
    for at, day in enumerate(days):
        yield Row(payload.params["symbol"], day, {column: cells[at] for column, cells in columns.items()})


def _following(page: Payload) -> int | None:
    """What to ask up to next, in seconds; None when nothing earlier is left."""
    if _days(page):
        # Less a second: some servers include `to`, and no two daily bars are that close.
        return _seconds(page, page.json()["t"][0]) - 1
    earlier = page.json().get("nextTime")
    if earlier is None or _seconds(page, earlier) < int(page.params["from"]):
        return None
    return _seconds(page, earlier) + 1


def _days(payload: Payload) -> list[datetime]:
    """The trading days of an answer's bars: midnights UTC, ascending; none where it has no data."""
    said = payload.json()
    status = said.get("s") if isinstance(said, dict) else None
    if status not in ("ok", "no_data"):
        raise Malformed(f"{payload.url} is neither ok nor without data: {str(said)[:200]!r}", payload)
    times = said.get("t", []) if status == "no_data" else said.get("t")
    if not isinstance(times, list) or (times and status == "no_data"):
        raise Malformed(f"{payload.url} says {status}, and its times are {str(times)[:200]!r}", payload)
    first, last = int(payload.params["from"]), int(payload.params["to"])
    days = []
    for seconds in (_seconds(payload, value) for value in times):
        if not first <= seconds <= last:
            raise Malformed(f"{payload.url}: the bar of {seconds} was not asked for: was from or to ignored?", payload)
        days.append(_day(payload, EPOCH + timedelta(seconds=seconds)))
    if any(before >= after for before, after in pairwise(days)):
        raise Malformed(f"{payload.url}: bars are out of order, or one comes twice", payload)
    return days


def _day(payload: Payload, stamped: datetime) -> datetime:
    midnight = stamped.replace(hour=0, minute=0, second=0)
    if stamped - midnight >= LATEST_OPEN:
        raise Malformed(
            f"{payload.url}: the bar of {stamped.isoformat()} belongs to no certain day: midnight UTC was due", payload
        )
    return midnight


def _numbers(payload: Payload, said: dict[str, Any], name: str, length: int) -> Sequence[Decimal | int | None]:
    """A column; of one that the feed does not have, or has null in, nothing is known."""
    cells = said.get(name)
    if cells is None:
        return [None] * length
    if not isinstance(cells, list) or len(cells) != length:
        raise Malformed(f"{payload.url}: column {name!r} does not have one cell for each of {length} bars", payload)
    for cell in cells:
        if cell is not None and (type(cell) not in (int, Decimal) or not Decimal(cell).is_finite()):
            raise Malformed(f"{payload.url}: {cell!r} in column {name!r} is no number", payload)
    return cells


def _seconds(payload: Payload, value: Any) -> int:
    if type(value) is not int:
        raise Malformed(f"{payload.url}: {value!r} is no time: integer seconds were due", payload)
    return value // 1000 if value >= FIRST_MILLISECONDS else value


def _seconds_of(instant: datetime) -> int:
    return ceil((instant - EPOCH).total_seconds())


def _refuse_errors(page: Payload) -> None:
    """An error comes with status 200."""
    said = page.json()
    if isinstance(said, dict) and said.get("s") == "error":
        raise Refused(f"{page.url} was refused: {str(said.get('errmsg', 'no reason given'))[:300]}", page)
