"""Coverage counts against the calendar of a feature."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from feature_store.catalog import Catalog
from feature_store.catalog.calendars import sessions
from feature_store.quality.coverage import Coverage, Instants, coverage, coverage_results, window_of

SPX, BTC, FUNDING = "macro/us/spx_index", "crypto/btc/price_usd", "cex/binance/btcusdt_funding_rate"
WALCL, GAS = "macro/us/walcl_total_usd", "onchain/eth/gas_price_gwei"
NOW = datetime(2026, 11, 27, 22, tzinfo=UTC)
"""The day after Thanksgiving, a half day, after its close."""


def instants(*at: datetime) -> Instants:
    return np.array([round(ts.timestamp() * 1e6) for ts in at], np.int64)


def session_days(calendar: str, first: datetime, last: datetime) -> list[datetime]:
    found = sessions(calendar, first.date(), last.date())
    return [datetime(day.date.year, day.date.month, day.date.day, tzinfo=UTC) for day in found]


SESSIONS = session_days("nyse", datetime(2026, 11, 2, tzinfo=UTC), NOW)


def test_holidays_and_weekends_are_not_expected(catalog: Catalog) -> None:
    assert len(SESSIONS) == 19, "twenty weekdays, less Thanksgiving"
    found = coverage(catalog.feature(SPX), instants(*SESSIONS), NOW, is_stale=False)
    assert (found.present, found.expected, found.missing, found.ratio) == (19, 19, 0, 1.0)


def test_the_longest_run_of_missing_sessions_is_named(catalog: Catalog) -> None:
    held = [day for day in SESSIONS if day.day not in (6, 9, 10, 17)]
    found = coverage(catalog.feature(SPX), instants(*held), NOW, is_stale=False)
    assert (found.present, found.expected, found.missing) == (15, 19, 3)
    assert (found.since, found.until) == (datetime(2026, 11, 6, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))


def test_what_is_late_is_missing_once_it_is_stale(catalog: Catalog) -> None:
    held = instants(*SESSIONS[:-2])
    assert coverage(catalog.feature(SPX), held, NOW, is_stale=False).expected == 17
    late = coverage(catalog.feature(SPX), held, NOW, is_stale=True)
    assert (late.present, late.expected, late.missing) == (17, 19, 0), "late, and no gap"


def test_a_session_that_is_not_out_yet_is_not_expected_of_a_stale_feature(catalog: Catalog) -> None:
    noon = datetime(2026, 11, 27, 15, tzinfo=UTC)
    assert coverage(catalog.feature(SPX), instants(*SESSIONS[:-3]), noon, is_stale=True).expected == 18


def test_a_value_on_a_holiday_is_accepted_and_not_expected(catalog: Catalog) -> None:
    vix = catalog.feature("macro/us/vix_index")
    held = instants(*sorted([*SESSIONS, datetime(2026, 11, 26, tzinfo=UTC)]))
    found = coverage(vix, held, NOW, is_stale=False)
    assert (found.present, found.expected) == (19, 19)


def test_weeks_are_counted_by_their_wednesdays(catalog: Catalog) -> None:
    weeks = [datetime(2026, 9, 2, tzinfo=UTC) + timedelta(weeks=n) for n in range(12) if n != 5]
    found = coverage(catalog.feature(WALCL), instants(*weeks), NOW, is_stale=False)
    assert (found.present, found.expected, found.missing) == (11, 12, 1)
    assert window_of(catalog.feature(WALCL)) == timedelta(weeks=12)


def test_minutes_are_counted_one_by_one(catalog: Catalog) -> None:
    start = datetime(2026, 11, 27, tzinfo=UTC)
    held = [start + timedelta(minutes=n) for n in range(100) if not 40 <= n < 47]
    found = coverage(catalog.feature(BTC), instants(*held), NOW, is_stale=False)
    assert (found.present, found.expected, found.missing) == (93, 100, 7)
    assert found.since == start + timedelta(minutes=40)


def test_of_snapshots_the_slots_that_hold_one_count(catalog: Catalog) -> None:
    start = datetime(2026, 11, 27, tzinfo=UTC)
    held = [start + timedelta(minutes=5 * n, seconds=7 * n % 60) for n in range(12)]
    extra = [held[3] + timedelta(seconds=1)]
    found = coverage(catalog.feature(GAS), instants(*sorted([*held, *extra])), NOW, is_stale=False)
    assert (found.present, found.expected) == (12, 12)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_settlements_are_expected_as_often_as_those_around_them(catalog: Catalog, lost: int) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    eight = [start + timedelta(hours=8 * n) for n in range(15)]
    four = [eight[-1] + timedelta(hours=4 * n) for n in range(1, 20)]
    held = [*eight, *four]
    for _ in range(lost):
        del held[24]
    found = coverage(catalog.feature(FUNDING), instants(*held), NOW, is_stale=False)
    assert (found.present, found.expected, found.missing) == (34 - lost, 34, lost)


@pytest.mark.parametrize(
    ("present", "expected", "success"), [(0, 1, False), (1, 3, True), (9, 12, False), (10, 12, True), (0, 0, True)]
)
def test_less_than_the_minimum_fails_once_enough_is_expected(
    catalog: Catalog, present: int, expected: int, success: bool
) -> None:
    spx = catalog.feature(SPX)
    result, _ = coverage_results([spx], {SPX: Coverage(present, expected)}, 0.8)
    assert (result.rule, result.success) == ("coverage", success)


def test_nothing_there_is_no_coverage(catalog: Catalog) -> None:
    found = coverage(catalog.feature(SPX), instants(), NOW, is_stale=True)
    assert (found.present, found.ratio) == (0, 0.0)
    assert Coverage(0, 0).ratio == 1.0, "nothing was expected"
