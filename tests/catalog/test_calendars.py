"""Calendars, held against the dates on which the real series have values."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from feature_store.catalog.calendars import (
    CALENDARS,
    FIRST,
    HORIZON,
    Session,
    close_at,
    is_open,
    next_open,
    sessions,
)
from feature_store.errors import CatalogError


def dates_with_values(path: Path, since: date) -> set[date]:
    with path.open() as file:
        rows = [row[:2] for row in csv.reader(file)][1:]
    found = {date.fromisoformat(day) for day, value in rows if value not in ("", ".")}
    return {day for day in found if day >= since}


def differences(calendar: str, path: Path, since: date) -> tuple[list[date], list[date]]:
    """Dates with a value that the calendar has closed, and open dates without a value."""
    seen = dates_with_values(path, since)
    expected = {session.date for session in sessions(calendar, min(seen), max(seen))}
    return sorted(seen - expected), sorted(expected - seen)


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def test_repo_operations_follow_the_desks_calendar_but_for_eight_days(real_series: Path) -> None:
    path = real_series / "rrpontsyd" / "RRPONTSYD_macro-observer.csv"
    surplus, missing = differences("fed-desk", path, date(2014, 1, 1))
    assert surplus == []
    # Until 2019 an operation over a day on which only the bond market was closed is not in the series: the
    # Thursday before Good Friday, and the day before the day of mourning, which had no operation itself.
    thursdays = days("2014-04-17", "2015-04-02", "2016-03-24", "2017-04-13", "2018-03-29", "2019-04-18")
    assert missing == sorted(thursdays + days("2018-12-04", "2018-12-05"))


def test_no_other_calendar_fits_repo_operations_better(real_series: Path) -> None:
    path = real_series / "rrpontsyd" / "RRPONTSYD_macro-observer.csv"
    misses = {
        name: sum(map(len, differences(name, path, date(2014, 1, 1))))
        for name in ("fed-desk", "sifma-us", "us-federal", "nyse")
    }
    assert misses == {"fed-desk": 8, "sifma-us": 11, "us-federal": 25, "nyse": 30}


def test_sp500_has_a_value_on_every_nyse_session_and_on_no_other_day(real_series: Path) -> None:
    assert differences("nyse", real_series / "sp500" / "SP500_macro-observer.csv", FIRST) == ([], [])


def test_nyse_sessions_since_1990_are_those_of_the_index(real_series: Path) -> None:
    surplus, missing = differences("nyse", real_series / "sp500" / "GSPC_yahoo_long.csv", FIRST)
    assert surplus == []
    assert missing == days("2026-07-09")  # a hole of that file: the source's own file has the day


def test_vix_has_values_on_stock_market_holidays_only_since_2022(real_series: Path) -> None:
    surplus, missing = differences("nyse", real_series / "vixcls" / "vix_finance-terminal.csv", FIRST)
    assert [day for day in surplus if day < date(2022, 5, 30)] == days("2004-06-11")
    assert len([day for day in surplus if day >= date(2022, 5, 30)]) == 32
    assert missing == days("1991-03-01", "1997-01-31", "1997-11-26")


def test_walcl_is_a_wednesdays_level_without_exception(real_series: Path) -> None:
    path = real_series / "walcl" / "WALCL_macro-observer.csv"
    assert differences("weekly-wed", path, date(2002, 12, 18)) == ([], [])


@pytest.mark.parametrize(
    ("calendar", "day", "close"),
    [
        ("nyse", "2026-11-25", "2026-11-25T21:00"),
        ("nyse", "2026-11-27", "2026-11-27T18:00"),  # half day
        ("nyse", "2026-07-01", "2026-07-01T20:00"),  # daylight-saving time
        ("sifma-us", "2026-11-27", "2026-11-27T19:00"),
        ("fx-weekdays", "2026-12-25", "2026-12-25T22:00"),
        ("24x7", "2026-12-25", "2026-12-26T00:00"),
        ("funding", "2026-12-25", "2026-12-26T00:00"),
        ("weekly-wed", "2026-11-25", "2026-11-26T00:00"),
        ("monthly", "2026-11-01", "2026-11-02T00:00"),
        ("quarterly", "2026-10-01", "2026-10-02T00:00"),
    ],
)
def test_a_session_closes_at_its_own_instant(calendar: str, day: str, close: str) -> None:
    session = Session(date.fromisoformat(day), datetime.fromisoformat(close).replace(tzinfo=UTC))
    assert sessions(calendar, session.date, session.date) == [session]


def test_a_closed_date_closes_at_the_usual_time() -> None:
    juneteenth = date(2026, 6, 19)
    assert not is_open("nyse", juneteenth)
    assert close_at("nyse", juneteenth) == datetime(2026, 6, 19, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("holiday", "open_"),
    [
        ("2026-11-26", False),  # Thanksgiving
        ("2026-12-25", False),
        ("2026-06-19", False),
        ("2026-10-12", False),  # Columbus Day
        ("2026-11-11", False),  # Veterans Day
        ("2020-06-19", True),  # Juneteenth before it was a holiday
        ("2021-06-18", True),  # the Friday before a holiday on a Saturday
        ("2021-12-24", True),
        ("2022-12-26", False),  # the Monday after a holiday on a Sunday
        ("2026-04-03", True),  # Good Friday
    ],
)
def test_the_reserve_banks_keep_their_own_holidays(holiday: str, open_: bool) -> None:
    assert is_open("us-federal", date.fromisoformat(holiday)) is open_


def test_good_friday_is_closed_at_the_desk_even_when_bonds_trade_half_a_day() -> None:
    good_friday = date(2026, 4, 3)
    assert is_open("sifma-us", good_friday)
    assert not is_open("fed-desk", good_friday)


def test_the_next_open_day_skips_holidays_and_weekends() -> None:
    assert next_open("us-federal", date(2026, 11, 26)) == date(2026, 11, 27)
    assert next_open("us-federal", date(2026, 11, 27)) == date(2026, 11, 27)
    assert next_open("nyse", date(2026, 4, 3)) == date(2026, 4, 6)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_calendar_reaches_more_than_a_year_ahead(calendar: str) -> None:
    in_a_year = datetime.now(UTC).date() + timedelta(days=366)
    assert in_a_year < HORIZON
    assert next_open(calendar, in_a_year) >= in_a_year
    found = sessions(calendar, FIRST, HORIZON)
    assert all(session.close_at.utcoffset() == timedelta(0) for session in found)
    assert [session.date for session in found] == sorted({session.date for session in found})


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_date_beyond_the_horizon_is_an_error_and_not_a_closed_day(calendar: str) -> None:
    beyond = HORIZON + timedelta(days=1)
    with pytest.raises(CatalogError, match="beyond the horizon"):
        sessions(calendar, HORIZON, beyond)
    with pytest.raises(CatalogError, match="beyond the horizon"):
        next_open(calendar, beyond)


def test_a_calendar_from_a_library_begins_in_1990() -> None:
    with pytest.raises(CatalogError, match="1990-01-01 to"):
        close_at("nyse", date(1989, 12, 29))


def test_an_unknown_calendar_names_the_known_ones() -> None:
    with pytest.raises(CatalogError, match="there are 24x7, weekly-wed"):
        sessions("lunar", FIRST, FIRST)
