"""Calendars by name: on which dates a value is expected, and at which instant such a date closes.

| calendar | open on | closes |
|---|---|---|
| 24x7, funding | every day | the next midnight UTC |
| weekly-wed | Wednesdays | the next midnight UTC |
| monthly, quarterly | the first day of the month, of the quarter | the next midnight UTC |
| nyse | trading days of the New York Stock Exchange | 16:00 New York, 13:00 on half days |
| sifma-us | days on which SIFMA recommends US bond trading | 17:30 New York, earlier on half days |
| fed-desk | sifma-us without Good Friday, when the New York Fed has no repo operation | as sifma-us |
| us-federal | business days of the Federal Reserve Banks | 17:00 New York |
| fx-weekdays | Monday to Friday | 17:00 New York |
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import get_args
from zoneinfo import ZoneInfo

from feature_store.catalog.contracts import CalendarName
from feature_store.errors import CatalogError

FIRST = date(1990, 1, 1)
"""First day of the calendars that come from a library, and of `registry.calendar_sessions`."""
HORIZON = date(2035, 12, 31)
"""Last day of every calendar. A constant, so that the answer does not depend on the day it is asked."""
CALENDARS: tuple[CalendarName, ...] = get_args(CalendarName)

NEW_YORK = ZoneInfo("America/New_York")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """An open date of a calendar and the instant (UTC) at which it closes."""

    date: date
    close_at: datetime


@dataclass(frozen=True, slots=True)
class _Calendar:
    first: date
    is_open: Callable[[date], bool]
    close_at: Callable[[date], datetime]
    """The close of an open date, and the usual close on any other."""


def sessions(calendar: str, start: date, end: date) -> list[Session]:
    """The open dates from start through end; CatalogError outside of the calendar's span."""
    found = _calendar(calendar)
    _within(calendar, found, start)
    _within(calendar, found, end)
    days = (start + DAY * n for n in range((end - start).days + 1))
    return [Session(day, found.close_at(day)) for day in days if found.is_open(day)]


def is_open(calendar: str, day: date) -> bool:
    """Whether a value is expected on that date; CatalogError outside of the calendar's span."""
    found = _calendar(calendar)
    _within(calendar, found, day)
    return found.is_open(day)


def next_open(calendar: str, day: date) -> date:
    """The date itself if it is open, else the next open one; CatalogError outside of the calendar's span."""
    while not is_open(calendar, day):
        day += DAY
    return day


def close_at(calendar: str, day: date) -> datetime:
    """The instant (UTC) at which the date closes; a date that is not open closes at the usual time.

    VIX has values on stock-market holidays, so a closed date needs an answer too. CatalogError outside of the
    calendar's span.
    """
    found = _calendar(calendar)
    _within(calendar, found, day)
    return found.close_at(day)


def span(calendar: str) -> tuple[date, date]:
    """First and last date that may be asked for."""
    return _calendar(calendar).first, HORIZON


def _within(name: str, calendar: _Calendar, day: date) -> None:
    if not calendar.first <= day <= HORIZON:
        raise CatalogError(
            f"calendar {name} knows {calendar.first} to {HORIZON} and was asked for {day}: "
            "a date beyond the horizon has no sessions yet, it is not a closed day"
        )


@cache
def _calendar(name: str) -> _Calendar:
    if name not in CALENDARS:
        raise CatalogError(f"unknown calendar {name!r}: there are {', '.join(CALENDARS)}")
    if name in _LIBRARY:
        return _from_library(*_LIBRARY[name])
    open_days, close = _ARITHMETIC[name]
    # The latest release dates of old data still need a day to roll to, so these reach back further.
    return _Calendar(date(1900, 1, 1), open_days, close)


def _from_library(load: Callable[[], dict[date, datetime]], usual: time) -> _Calendar:
    closes = load()
    fallback = _wall(usual)
    return _Calendar(FIRST, closes.__contains__, lambda day: closes.get(day) or fallback(day))


@cache
def _nyse() -> dict[date, datetime]:
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=HORIZON.isoformat())
    return {day.date(): at.to_pydatetime() for day, at in calendar.closes.items()}


@cache
def _sifma() -> dict[date, datetime]:
    import pandas_market_calendars

    calendar = pandas_market_calendars.get_calendar("SIFMA_US")
    schedule = calendar.schedule(FIRST.isoformat(), HORIZON.isoformat())
    return {day.date(): at.to_pydatetime() for day, at in schedule["market_close"].items()}


@cache
def _federal_holidays() -> frozenset[date]:
    """Holidays of the Federal Reserve Banks: one on a Sunday moves to Monday, one on a Saturday does not."""
    from pandas import Timestamp
    from pandas.tseries import holiday

    def fixed(name: str, month: int, day: int, since: str | None = None) -> holiday.Holiday:
        start = None if since is None else Timestamp(since)
        return holiday.Holiday(name, month=month, day=day, start_date=start, observance=holiday.sunday_to_monday)

    class FederalReserve(holiday.AbstractHolidayCalendar):
        rules = [  # noqa: RUF012 - the base class wants a plain list
            fixed("New Year's Day", 1, 1),
            holiday.USMartinLutherKingJr,
            holiday.USPresidentsDay,
            holiday.USMemorialDay,
            fixed("Juneteenth", 6, 19, since="2021-06-18"),
            fixed("Independence Day", 7, 4),
            holiday.USLaborDay,
            holiday.USColumbusDay,
            fixed("Veterans Day", 11, 11),
            holiday.USThanksgivingDay,
            fixed("Christmas Day", 12, 25),
        ]

    days = FederalReserve().holidays(Timestamp("1900-01-01"), Timestamp(HORIZON))
    return frozenset(day.date() for day in days)


def _fed_desk() -> dict[date, datetime]:
    from pandas import Timestamp
    from pandas.tseries.holiday import GoodFriday

    # Nor on those Good Fridays on which SIFMA recommends a half day, because the jobs report comes out.
    good_fridays = {day.date() for day in GoodFriday.dates(Timestamp(FIRST), Timestamp(HORIZON))}
    return {day: at for day, at in _sifma().items() if day not in good_fridays}


def _wall(at: time) -> Callable[[date], datetime]:
    return lambda day: datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + DAY, time.min, UTC)


def _every_day(_: date) -> bool:
    return True


def _weekday(day: date) -> bool:
    return day.weekday() < 5


def _federal(day: date) -> bool:
    return _weekday(day) and day not in _federal_holidays()


_LIBRARY: dict[str, tuple[Callable[[], dict[date, datetime]], time]] = {
    "nyse": (_nyse, time(16)),
    "sifma-us": (_sifma, time(17, 30)),
    "fed-desk": (_fed_desk, time(17, 30)),
}
_ARITHMETIC: dict[str, tuple[Callable[[date], bool], Callable[[date], datetime]]] = {
    "24x7": (_every_day, _midnight_after),
    "funding": (_every_day, _midnight_after),
    "weekly-wed": (lambda day: day.weekday() == 2, _midnight_after),
    "monthly": (lambda day: day.day == 1, _midnight_after),
    "quarterly": (lambda day: day.day == 1 and day.month % 3 == 1, _midnight_after),
    "us-federal": (_federal, _wall(time(17))),
    "fx-weekdays": (_weekday, _wall(time(17))),
}
