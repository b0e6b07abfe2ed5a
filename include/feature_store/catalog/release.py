"""Time rules at work: when a value is valid, and when its source releases it.

`ts` of a point that its source dates by day is that date at 00:00 UTC. So the *date of ts* is its UTC date,
also in a rule whose wall time is in another zone: a Wednesday's level stays a Wednesday's in New York.
All instants given and returned are aware and in UTC.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from feature_store.catalog.calendars import close_at, next_open, sessions, span
from feature_store.catalog.contracts import DayRule, ReleaseRule
from feature_store.catalog.durations import parts, shift
from feature_store.errors import CatalogError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
DAY = timedelta(days=1)


class Timed(Protocol):
    """What has time rules: TimeRules, SeriesSpec, FeatureSpec."""

    @property
    def calendar(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def period(self) -> str | None: ...
    @property
    def release(self) -> ReleaseRule | None: ...


def valid_at(spec: Timed, ts: datetime) -> datetime:
    """When the described period is over: ts, or its end where the label is `start`.

    CatalogError where a session is asked beyond the calendar's span.
    """
    return _valid_at(spec)(ts)


def release_at(spec: Timed, ts_list: Sequence[datetime]) -> list[datetime]:
    """The release rule's instant R for each ts; CatalogError for a derived feature, or beyond a calendar."""
    rule = _rule(spec)
    if isinstance(rule, DayRule):
        return [_released_on(rule, ts.date()) for ts in ts_list]
    end_of = _valid_at(spec)
    months, delay = parts(rule.delay)
    if months:
        return [shift(end_of(ts), rule.delay) for ts in ts_list]
    return [end_of(ts) + delay for ts in ts_list]


def scheduled_on(spec: Timed, day: date, zone: str = "UTC") -> datetime | None:
    """The scheduled release that falls on the calendar date `day` of `zone`, or None when none does.

    For series that are dated by day; where several points are released that day it is the first instant.
    """
    local = ZoneInfo(zone)
    first, last = span(spec.calendar)
    start, end = max(first, day - _reach(spec)), min(last, day + DAY)
    if start > end:
        return None
    points = [datetime.combine(s.date, time.min, UTC) for s in sessions(spec.calendar, start, end)]
    falling = [at for at in release_at(spec, points) if at.astimezone(local).date() == day]
    return min(falling, default=None)


def _rule(spec: Timed) -> ReleaseRule:
    if spec.release is None:
        raise CatalogError(f"{getattr(spec, 'id', 'this series')} is derived: it follows its inputs, not a release")
    return spec.release


def _valid_at(spec: Timed) -> Callable[[datetime], datetime]:
    if spec.label != "start" or spec.period is None:
        return lambda ts: ts
    if spec.period == "session":
        calendar = spec.calendar
        return lambda ts: _close(calendar, ts.date())
    period = spec.period
    months, fixed = parts(period)
    return (lambda ts: shift(ts, period)) if months else (lambda ts: ts + fixed)


def _reach(spec: Timed) -> timedelta:
    """How long before a release its ts may lie: the rule, the period, and a long weekend to roll over."""
    rule = _rule(spec)
    reach = timedelta(days=rule.days or 7) if isinstance(rule, DayRule) else _at_most(rule.delay)
    if spec.label == "start" and spec.period not in (None, "session"):
        reach += _at_most(str(spec.period))
    return reach + 7 * DAY


def _at_most(duration: str) -> timedelta:
    months, fixed = parts(duration)
    return months * 31 * DAY + fixed


@lru_cache(maxsize=65536)
def _close(calendar: str, day: date) -> datetime:
    return close_at(calendar, day)


@lru_cache(maxsize=65536)
def _released_on(rule: DayRule, day: date) -> datetime:
    if rule.weekday is None:
        day += (rule.days or 0) * DAY
    else:
        day += ((WEEKDAYS.index(rule.weekday) - day.weekday() - 1) % 7 + 1) * DAY
    if rule.roll is not None:
        day = next_open(rule.roll, day)
    return datetime.combine(day, rule.wall_time, rule.tz).astimezone(UTC)
