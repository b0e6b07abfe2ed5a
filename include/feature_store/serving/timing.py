"""When values are valid and how old they are, for many instants at once.

Instants are int64 microseconds since 1970-01-01 UTC, as Arrow holds them. The answers are those of the view
`features.latest` and of `features.closed_time` in SQL, wherever registry.calendar_sessions knows the day. Of a day that
the calendar does not know, before its first or beyond its horizon, they are an error here and never a guess.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from feature_store.catalog.calendars import sessions, span
from feature_store.catalog.contracts import FeatureSpec
from feature_store.catalog.durations import parts
from feature_store.errors import CatalogError

Instants = npt.NDArray[np.int64]
"""Microseconds since 1970-01-01 UTC; of ages, microseconds."""

WITH_CLOSINGS = frozenset({"nyse", "sifma-us", "fed-desk", "us-federal", "fx-weekdays"})
"""Calendars whose closed days age no value. The others open once a week or a month, or never close."""

_DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1)


def microseconds(duration: timedelta) -> int:
    """The duration in microseconds, exactly."""
    return duration // timedelta(microseconds=1)


def valid_at(feature: FeatureSpec, ts: Instants) -> Instants:
    """When the period that each `ts` describes is over, by the feature's label and period.

    A session is over when the last session with a date on or before the UTC date of ts closes: a value on a day
    without one (VIX on holidays) counts as closed with the session before. Months end at their last day where the
    day does not exist, so a later ts may be valid earlier: 31 January 00:00 and 30 January 12:00 plus a month.
    CatalogError where a session is asked beyond the calendar's span.
    """
    if feature.label != "start" or feature.period is None:
        return ts
    if feature.period == "session":
        return _days(feature.calendar).close_before_or_on(ts)
    months, fixed = parts(feature.period)
    return (_months_later(ts, months) if months else ts) + microseconds(fixed)


def open_age(calendar: str, from_us: Instants, to_us: Instants) -> Instants:
    """Microseconds between two instants, from_us <= to_us, less those on UTC days without a session of the calendar.

    A calendar that is not in WITH_CLOSINGS has no closed days. CatalogError for an unknown calendar, and for an
    instant beyond the span of one with closings.
    """
    if calendar not in WITH_CLOSINGS:
        span(calendar)  # which knows the names
        return to_us - from_us
    days = _days(calendar)
    return days.open_before(to_us) - days.open_before(from_us)


def _months_later(ts: Instants, months: int) -> Instants:
    days = (ts // _DAY).astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    first = (month + months).astype("datetime64[D]")
    last = (month + months + 1).astype("datetime64[D]") - 1
    later: Instants = np.minimum(first + (days - month), last).astype(np.int64)
    return later * _DAY + ts % _DAY


@dataclass(frozen=True, eq=False)
class _Days:
    """A calendar by UTC day, from `first` (days since 1970) through its horizon."""

    calendar: str
    first: int
    is_open: Instants
    """1 on days with a session, else 0."""
    opened: Instants
    """Microseconds on open days before each day."""
    last_close: Instants
    """When the last session up to each day closes; the least int64 before the first."""

    def open_before(self, instants: Instants) -> Instants:
        """Microseconds on open days, from the calendar's first day to each instant."""
        day = self._of(instants)
        into: Instants = instants - (day + self.first) * _DAY
        return self.opened[day] + self.is_open[day] * into

    def close_before_or_on(self, instants: Instants) -> Instants:
        """When the last session with a date on or before that of each instant closes."""
        closes = self.last_close[self._of(instants)]
        before_all = closes == np.iinfo(np.int64).min
        if before_all.any():
            raise self._unknown(instants[before_all][0])
        return closes

    def _of(self, instants: Instants) -> Instants:
        day = instants // _DAY - self.first
        outside = (day < 0) | (day >= len(self.is_open))
        if outside.any():
            raise self._unknown(instants[outside][0])
        return day

    def _unknown(self, instant: np.int64) -> CatalogError:
        first, last = span(self.calendar)
        asked = np.datetime64(int(instant // _DAY), "D")  # which may be past the years that a date can hold
        return CatalogError(
            f"calendar {self.calendar} knows {first} to {last} and was asked for {asked}: "
            "a date beyond the horizon has no sessions yet, it is not a closed day"
        )


@cache
def _days(calendar: str) -> _Days:
    first, last = span(calendar)
    found = sessions(calendar, first, last)
    number = np.array([(session.date - first).days for session in found])
    is_open = np.zeros((last - first).days + 1, np.int64)
    is_open[number] = 1
    closes = np.array([session.close_at.replace(tzinfo=None) for session in found], "datetime64[us]").astype(np.int64)
    held = np.concatenate(([np.iinfo(np.int64).min], closes))
    opened = np.concatenate(([0], np.cumsum(is_open)[:-1])) * _DAY
    return _Days(calendar, (first - _EPOCH).days, is_open, opened, held[np.cumsum(is_open)])
