"""When values are valid and released, through holidays and changes of the clocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.catalog import Catalog, TimeRules, load_catalog
from feature_store.catalog.calendars import is_open, sessions
from feature_store.catalog.contracts import SeriesSpec
from feature_store.catalog.durations import shift
from feature_store.catalog.release import release_at, scheduled_on, valid_at
from feature_store.errors import CatalogError
from feature_store.settings import ROOT

NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = "America/Chicago"
CATALOG = load_catalog(ROOT / "include" / "catalog")
WALCL = CATALOG.feature("macro/us/walcl_total_usd")
RRP = CATALOG.feature("macro/us/rrp_total_usd")
SPX = CATALOG.feature("macro/us/spx_index")

WEDNESDAYS = st.dates(date(2003, 1, 1), date(2034, 12, 1)).map(lambda day: day + timedelta((2 - day.weekday()) % 7))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def raw(name: str) -> SeriesSpec:
    return next(spec for spec in CATALOG.series("fred", "observations") if spec.name == name)


@pytest.mark.parametrize(
    ("feature_id", "ts", "valid", "released"),
    [
        # H.4.1: Thursday 16:30 New York, in winter and in summer
        ("macro/us/walcl_total_usd", "2026-01-14", "2026-01-14", "2026-01-15T21:30"),
        ("macro/us/walcl_total_usd", "2026-07-15", "2026-07-15", "2026-07-16T20:30"),
        # on Friday when Thursday is Thanksgiving, Christmas, New Year's Day or Juneteenth
        ("macro/us/walcl_total_usd", "2026-11-25", "2026-11-25", "2026-11-27T21:30"),
        ("macro/us/walcl_total_usd", "2025-12-24", "2025-12-24", "2025-12-26T21:30"),
        ("macro/us/walcl_total_usd", "2025-12-31", "2025-12-31", "2026-01-02T21:30"),
        ("macro/us/walcl_total_usd", "2025-06-18", "2025-06-18", "2025-06-20T20:30"),
        # in 2014 the 19th of June was a Thursday like any other
        ("macro/us/walcl_total_usd", "2014-06-18", "2014-06-18", "2014-06-19T20:30"),
        # the clocks change between Wednesday and the release of the next week
        ("macro/us/walcl_total_usd", "2026-03-04", "2026-03-04", "2026-03-05T21:30"),
        ("macro/us/walcl_total_usd", "2026-03-11", "2026-03-11", "2026-03-12T20:30"),
        ("macro/us/tga_balance_usd", "2026-11-25", "2026-11-25", "2026-11-27T21:30"),
        ("macro/us/rrp_total_usd", "2026-01-14", "2026-01-14", "2026-01-14T22:45"),
        ("crypto/etf/btc_net_flow_usd", "2026-07-14", "2026-07-14T20:00", "2026-07-15T12:00"),
        ("crypto/etf/eth_net_flow_usd", "2026-11-27", "2026-11-27T18:00", "2026-11-28T13:00"),
        ("crypto/stables/mcap_total_usd", "2026-08-20", "2026-08-21", "2026-08-21T06:30"),
        ("crypto/btc/price_usd", "2026-08-20T10:00", "2026-08-20T10:01", "2026-08-20T10:01:02"),
        ("crypto/eth/price_usd", "2026-08-20T23:59", "2026-08-21T00:00", "2026-08-21T00:00:02"),
        ("cex/agg/spot_depth_2pct_usd", "2026-08-20T10:00", "2026-08-20T10:00", "2026-08-20T10:00"),
        ("cex/agg/perp_oi_usd", "2026-08-20T10:00", "2026-08-20T10:00", "2026-08-20T10:00"),
        ("dex/agg/active_liquidity_usd", "2026-08-20T10:00", "2026-08-20T10:00", "2026-08-20T10:00"),
        ("cex/binance/btcusdt_volume_usd", "2026-08-20T10:00", "2026-08-20T11:00", "2026-08-20T11:00:02"),
        ("cex/binance/btcusdt_funding_rate", "2026-08-20T08:00", "2026-08-20T08:00", "2026-08-20T08:00:05"),
        ("onchain/btc/hashrate_ths", "2026-08-20", "2026-08-21", "2026-08-22"),
        ("onchain/btc/supply_btc", "2026-08-20", "2026-08-21", "2026-08-22"),
        ("onchain/eth/gas_price_gwei", "2026-08-20T10:05", "2026-08-20T10:05", "2026-08-20T10:05"),
        ("onchain/eth/tvl_usd", "2026-08-20", "2026-08-20", "2026-08-21T06:30"),
        ("macro/us/dxy_index", "2026-07-15", "2026-07-15T21:00", "2026-07-15T21:15"),
        ("macro/us/spx_index", "2026-07-15", "2026-07-15T20:00", "2026-07-15T20:15"),
        ("macro/us/spx_index", "2026-11-27", "2026-11-27T18:00", "2026-11-27T18:15"),
        ("macro/us/vix_index", "2026-07-15", "2026-07-15T20:00", "2026-07-15T20:30"),
        ("macro/us/vix_index", "2026-11-27", "2026-11-27T18:00", "2026-11-27T18:30"),
        # a value on a stock-market holiday is accepted: it is valid at the usual close
        ("macro/us/vix_index", "2026-06-19", "2026-06-19T20:00", "2026-06-19T20:30"),
    ],
)
def test_a_value_is_valid_and_released_when_the_rule_says(
    catalog: Catalog, feature_id: str, ts: str, valid: str, released: str
) -> None:
    spec = catalog.feature(feature_id)
    assert valid_at(spec, instant(ts)) == instant(valid)
    assert release_at(spec, [instant(ts)]) == [instant(released)]


@pytest.mark.parametrize(
    ("series", "day", "released"),
    [
        ("SP500", "2026-07-15", "2026-07-16T01:00"),
        ("VIXCLS", "2026-07-15", "2026-07-16T13:40"),
        ("VIXCLS", "2026-07-17", "2026-07-20T13:40"),  # a Friday's value on Monday
        ("VIXCLS", "2026-11-25", "2026-11-27T14:40"),  # over Thanksgiving
        ("DTWEXBGS", "2026-08-03", "2026-08-10T20:15"),  # a Monday's value a week later
        ("DTWEXBGS", "2026-08-07", "2026-08-10T20:15"),
        ("DTWEXBGS", "2026-09-04", "2026-09-08T20:15"),  # Labor Day
    ],
)
def test_a_raw_series_is_released_when_its_rule_says(series: str, day: str, released: str) -> None:
    assert release_at(raw(series), [instant(day)]) == [instant(released)]


@pytest.mark.parametrize("feature_id", [f.id for f in CATALOG.features.values() if not f.is_derived])
def test_nothing_is_released_before_it_is_valid(feature_id: str) -> None:
    spec = CATALOG.feature(feature_id)
    days = [midnight(s.date) for s in sessions(spec.calendar, date(2020, 1, 1), date(2026, 12, 31))]
    for ts, released in zip(days, release_at(spec, days), strict=True):
        assert ts <= valid_at(spec, ts) <= released


@pytest.mark.parametrize("feature_id", [f.id for f in CATALOG.features.values() if f.frequency == "1d" and f.release])
def test_a_daily_feature_is_not_stale_before_its_next_release(feature_id: str) -> None:
    """Age is now less valid_at less closed time: days without a session, and what a half day is shorter."""
    spec = CATALOG.feature(feature_id)
    open_days = sessions(spec.calendar, date(2024, 1, 1), date(2026, 12, 31))
    released = release_at(spec, [midnight(session.date) for session in open_days])
    for session, following, next_release in zip(open_days, open_days[1:], released[1:], strict=False):
        gap = following.date - session.date - timedelta(days=1)
        closed = timedelta(0) if spec.calendar == "weekly-wed" else gap + lost_on_a_half_day(session.close_at)
        age = next_release - valid_at(spec, midnight(session.date)) - closed
        assert age <= timedelta(milliseconds=spec.ttl_ms)


def lost_on_a_half_day(close: datetime) -> timedelta:
    return timedelta(hours=3 if close.astimezone(NEW_YORK).time() == time(13) else 0)


@given(WEDNESDAYS)
def test_h41_is_out_at_half_past_four_on_the_first_business_day_after_wednesday(wednesday: date) -> None:
    (released,) = release_at(WALCL, [midnight(wednesday)])
    local = released.astimezone(NEW_YORK)
    assert local.time() == time(16, 30)
    assert is_open("us-federal", local.date())
    between = [wednesday + timedelta(days=n) for n in range(1, (local.date() - wednesday).days)]
    assert not any(is_open("us-federal", day) for day in between)
    assert 1 <= (local.date() - wednesday).days <= 2


@given(WEDNESDAYS)
def test_the_scheduled_release_of_a_date_is_the_release_of_its_values(wednesday: date) -> None:
    (released,) = release_at(WALCL, [midnight(wednesday)])
    local = released.astimezone(ZoneInfo(CHICAGO)).date()
    assert scheduled_on(WALCL, local, CHICAGO) == released
    assert scheduled_on(WALCL, local + timedelta(days=1), CHICAGO) is None
    assert scheduled_on(WALCL, wednesday, CHICAGO) is None


@given(st.dates(date(2014, 1, 1), date(2034, 12, 31)))
def test_a_repo_operation_is_scheduled_on_its_sessions_and_on_no_other_day(day: date) -> None:
    expected = datetime.combine(day, time(17, 45), NEW_YORK) if is_open("fed-desk", day) else None
    assert scheduled_on(RRP, day, CHICAGO) == expected


@given(st.dates(date(1990, 1, 2), date(2034, 12, 31)))
def test_an_index_is_released_a_quarter_of_an_hour_after_its_close(day: date) -> None:
    (released,) = release_at(SPX, [midnight(day)])
    assert released - valid_at(SPX, midnight(day)) == timedelta(minutes=15)
    assert released.astimezone(NEW_YORK).time() in (time(16, 15), time(13, 15), time(14, 15), time(15, 15))
    assert released.astimezone(NEW_YORK).date() == day


@pytest.mark.parametrize(
    ("day", "scheduled"),
    [
        ("2026-11-25", None),
        ("2026-11-26", None),
        ("2026-11-27", "2026-11-27T21:30"),
        ("2026-12-03", "2026-12-03T21:30"),
        ("2026-12-04", None),
    ],
)
def test_the_thanksgiving_release_of_h41_is_scheduled_on_friday(day: str, scheduled: str | None) -> None:
    expected = None if scheduled is None else instant(scheduled)
    assert scheduled_on(WALCL, date.fromisoformat(day), CHICAGO) == expected


def test_the_date_of_a_release_is_meant_in_the_zone_that_is_asked() -> None:
    assert scheduled_on(raw("SP500"), date(2026, 7, 15), CHICAGO) == instant("2026-07-16T01:00")
    assert scheduled_on(raw("SP500"), date(2026, 7, 15), "UTC") == instant("2026-07-15T01:00")


def test_a_week_of_the_dollar_index_is_scheduled_once() -> None:
    asked = [date(2026, 9, 4) + timedelta(days=n) for n in range(8)]
    assert [scheduled_on(raw("DTWEXBGS"), day, CHICAGO) for day in asked] == [
        None, None, None, None, instant("2026-09-08T20:15"), None, None, None,
    ]  # fmt: skip


def test_a_quarter_is_over_after_three_months() -> None:
    gdp = TimeRules.model_validate(
        {
            "calendar": "quarterly",
            "label": "start",
            "period": "P3M",
            "release": {"days": 119, "at": "08:30", "zone": "America/New_York", "roll": "us-federal"},
            "revises": "vintages",
            "provisional": "none",
        }
    )
    assert valid_at(gdp, instant("1946-10-01")) == instant("1947-01-01")
    assert release_at(gdp, [instant("2026-01-01")]) == [instant("2026-04-30T12:30")]
    assert scheduled_on(gdp, date(2026, 4, 30), CHICAGO) == instant("2026-04-30T12:30")


def test_a_month_later_is_never_in_the_month_after_next() -> None:
    assert shift(instant("2024-01-31"), "P1M") == instant("2024-02-29")
    assert shift(instant("2024-02-29"), "P1Y2M1DT1H") == instant("2025-04-30T01:00")


def test_a_derived_feature_has_no_release(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="follows its inputs"):
        release_at(catalog.feature("macro/us/net_liquidity_usd"), [instant("2026-01-14")])


def test_a_release_beyond_the_horizon_is_an_error() -> None:
    with pytest.raises(CatalogError, match="beyond the horizon"):
        release_at(SPX, [instant("2040-01-04")])


def test_no_release_is_scheduled_before_the_calendar_begins() -> None:
    assert scheduled_on(SPX, date(1980, 1, 2)) is None
