"""Vintages as ALFRED keeps them: per observation date the real-time periods in which each value held.

Real-time periods have day resolution, in US Central time: of several values of one day the last counts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from feature_store.replay.folder import History

CENTRAL = ZoneInfo("America/Chicago")
OPEN_END = date(9999, 12, 31)
DAY = timedelta(days=1)
MISSING = "."


@dataclass(frozen=True, slots=True)
class Interval:
    """`value` held for `observed` from `start` to `end`, both included."""

    observed: date
    start: date
    end: date
    value: str


@dataclass(frozen=True, eq=False)
class Archive:
    """One series as the source knows it at one instant."""

    changes: dict[date, list[tuple[date, str]]]
    """Per observation date: the days on which its value changed, and to what; both ascending."""
    vintages: list[date]
    """The days on which anything changed, ascending."""
    units: list[tuple[date, str]]
    """The days on which the stated unit changed, and to what."""
    updated: datetime
    """The last publication."""

    def vintages_within(self, start: date, end: date) -> list[date]:
        """The vintage dates of a real-time period."""
        return self.vintages[bisect_left(self.vintages, start) : bisect_right(self.vintages, end)]

    def intervals(self, start: date, end: date) -> Iterator[Interval]:
        """The rows of a real-time period, clipped to it, by observation date and then by real time."""
        for observed, changes in self.changes.items():
            yield from (
                Interval(observed, max(a, start), min(b, end), value)
                for a, b, value in _periods(changes)
                if a <= end and b >= start
            )

    def states(self, days: list[date]) -> Iterator[Interval]:
        """The rows of the chosen vintages alone: one row for as many consecutive ones as agree."""
        for observed, changes in self.changes.items():
            seen: list[tuple[date, str]] = []
            for day in days:
                value = _value_on(changes, day)
                if value is not None and (not seen or seen[-1][1] != value):
                    seen.append((day, value))
            yield from (Interval(observed, a, min(b, days[-1]), value) for a, b, value in _periods(seen))

    def first_releases(self, start: date, end: date) -> Iterator[Interval]:
        """First values alone, where the archive holds them.

        An observation that entered with the archive's first vintage, or behind an observation already
        held, was published before somewhere else: its first value is not known here.
        """
        newest = date.min
        entered = sorted((changes[0][0], observed) for observed, changes in self.changes.items())
        for day, observed in entered:
            known_before = observed <= newest
            newest = max(newest, observed)
            if day == self.vintages[0] or known_before or not start <= day <= end:
                continue
            _, until, value = next(_periods(self.changes[observed]))
            yield Interval(observed, day, min(until, end), value)

    def unit_periods(self, start: date, end: date) -> list[tuple[date, date, str]]:
        """The stretches of a real-time period in which the stated unit was the same."""
        periods = [(a, b, unit) for a, b, unit in _periods(self.units) if a <= end and b >= start]
        return [(max(a, start), min(b, end), unit) for a, b, unit in periods]

    def span(self, day: date) -> tuple[date, date]:
        """First and last observation date with a value in the vintage of `day`."""
        held = [
            observed for observed, changes in self.changes.items() if _value_on(changes, day) not in {None, MISSING}
        ]
        return (held[0], held[-1]) if held else (day, day)


@lru_cache(maxsize=64)
def archive(history: History, visible: int, since: date) -> Archive:
    """The archive of a history's first `visible` rows, observations before `since` left out."""
    changes: dict[date, list[tuple[date, str]]] = {}
    units: list[tuple[date, str]] = []
    for row in history.rows[:visible]:
        observed, day = row.ts.date(), central_date(row.available_at)
        if observed >= since:
            _append(changes.setdefault(observed, []), day, row.value or MISSING)
            _append(units, day, row.unit)
    return Archive(
        changes=dict(sorted(changes.items())),
        vintages=sorted({day for held in changes.values() for day, _ in held}),
        units=units,
        updated=history.available[visible - 1],
    )


def central_date(instant: datetime) -> date:
    """The calendar date in St. Louis."""
    return instant.astimezone(CENTRAL).date()


def _append(changes: list[tuple[date, str]], day: date, value: str) -> None:
    """Note a change; a later one of the same day replaces it, and one that changes nothing is none."""
    if changes and changes[-1][0] == day:
        changes.pop()
    if not changes or changes[-1][1] != value:
        changes.append((day, value))


def _periods(changes: Iterable[tuple[date, str]]) -> Iterator[tuple[date, date, str]]:
    held: tuple[date, str] | None = None
    for day, value in changes:
        if held:
            yield held[0], day - DAY, held[1]
        held = (day, value)
    if held:
        yield held[0], OPEN_END, held[1]


def _value_on(changes: list[tuple[date, str]], day: date) -> str | None:
    at = bisect_right(changes, day, key=lambda change: change[0])
    return changes[at - 1][1] if at else None
