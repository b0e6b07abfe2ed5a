"""Tables of daily bars, and how far a bar has come at an instant."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from feature_store.catalog.calendars import close_at
from feature_store.errors import ReplayError
from feature_store.replay.folder import INSTANT, NUMBER, parse_instant

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
NEW_YORK = ZoneInfo("America/New_York")
OPENS = {"nyse": (timedelta(0), time(9, 30)), "fx-weekdays": (timedelta(days=-1), time(18))}
"""Calendar → when its sessions open, in New York: days from their date, and the wall time."""

LONGEST = timedelta(days=2)
"""After which every session is over, from the start of its day on."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One trading day; its date at 00:00 UTC. What the feed does not have is None."""

    ts: datetime
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal
    volume: Decimal | None


def load_bars(path: Path) -> tuple[Bar, ...]:
    """A table of bars; ReplayError says what is wrong with it."""
    bars: list[Bar] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = tuple(name.strip() for name in next(reader, []))
        if header != COLUMNS:
            raise ReplayError(f"{path}:1: the header is {','.join(header)!r}; allowed is {','.join(COLUMNS)}")
        for cells in filter(None, reader):
            place = f"{path}:{reader.line_num}"
            if len(cells) != len(COLUMNS):
                raise ReplayError(f"{place}: {len(cells)} cells, but there are {len(COLUMNS)} columns")
            bar = _bar(place, cells)
            if bars and bar.ts <= bars[-1].ts:
                raise ReplayError(f"{place}: column 'ts' is not later than the row before")
            bars.append(bar)
    return tuple(bars)


def opened_at(calendar: str, day: datetime) -> datetime:
    """When the session of a day opens, UTC; in a calendar without sessions, when the day begins."""
    if calendar not in OPENS:
        return day
    shift, wall = OPENS[calendar]
    return datetime.combine(day.date() + shift, wall, NEW_YORK).astimezone(UTC)


def shown(bars: Sequence[Bar], calendar: str, now: datetime) -> list[Bar]:
    """The bars of the sessions that have opened at `now`; the last one as far as it got."""
    found = []
    for at, bar in enumerate(bars):
        if bar.ts + LONGEST <= now:  # beyond all calendars too
            found.append(bar)
            continue
        opened = opened_at(calendar, bar.ts)
        if opened > now:
            break
        closed = close_at(calendar, bar.ts.date())
        before = bars[at - 1].close if at else bar.close
        found.append(bar if closed <= now else _partial(bar, before, (now - opened) / (closed - opened)))
    return found


def _partial(whole: Bar, before: Decimal, share: float) -> Bar:
    """A bar of which a share has passed: from the open to the low, the high and the close, a third each.

    Where the feed has no such columns: from the close before to its own. So a later look at the same bar never shows a
    lower high or less volume.
    """
    corners = [before if whole.open is None else whole.open, whole.low, whole.high, whole.close]
    path = [corner for corner in corners if corner is not None]
    leg = min(int(share * (len(path) - 1)), len(path) - 2)
    way = Decimal(share * (len(path) - 1) - leg)
    price = (path[leg] + (path[leg + 1] - path[leg]) * way).quantize(whole.close)
    seen = (*path[: leg + 1], price)
    return replace(
        whole,
        high=None if whole.high is None else max(seen),
        low=None if whole.low is None else min(seen),
        close=price,
        volume=None if whole.volume is None else (whole.volume * Decimal(share)).quantize(whole.volume, ROUND_FLOOR),
    )


def _bar(place: str, cells: list[str]) -> Bar:
    try:
        ts = parse_instant(cells[0])
    except ValueError:
        raise ReplayError(f"{place}: column 'ts' holds {cells[0]!r}; allowed is {INSTANT}") from None
    if ts.time() != time.min:
        raise ReplayError(f"{place}: column 'ts' holds {cells[0]!r}; allowed is a trading day, such as 2024-01-31")
    numbers: dict[str, Decimal | None] = {}
    for column, text in zip(COLUMNS[1:], cells[1:], strict=True):
        if text and not NUMBER.fullmatch(text):
            raise ReplayError(f"{place}: column {column!r} holds {text!r}; allowed is a decimal number, or empty")
        numbers[column] = Decimal(text) if text else None
    close = numbers.pop("close")
    if close is None:
        raise ReplayError(f"{place}: column 'close' is empty; allowed is a decimal number")
    return Bar(ts, close=close, **numbers)
