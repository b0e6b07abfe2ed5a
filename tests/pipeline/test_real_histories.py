"""The same line on real histories (skipped where they are absent): ALFRED's GDP, and the years of the macro series."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.calendars import sessions
from feature_store.catalog.contracts import DayRule, Quality
from feature_store.replay.convert import convert
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import ingest
from tests.replay.server import write

from .store import RRP, TGA, WALCL, Store, open_store, shipped, with_features

GDP = "macro/us/gdp_usd"
ST_LOUIS = ZoneInfo("America/Chicago")
Flows = Callable[[Path], dict[str, dict[str, Decimal]]]


def gdp_catalog() -> Catalog:
    """A test catalog of one feature: GDP, in dollars, quarterly."""
    like = shipped().feature(WALCL)
    return with_features(
        [
            FeatureSpec(
                **{
                    **dict(like),
                    "id": GDP,
                    "description": "US gross domestic product, annual rate.",
                    "series": "GDP",
                    "scale": {"Billions of Dollars": Decimal("1e9")},
                    "calendar": "quarterly",
                    "label": "start",
                    "period": "P3M",
                    "release": DayRule(days=118, at="08:30", zone="America/New_York"),
                    "quality": Quality(expected_range=(0, 1e15), seasonal=False),
                }
            )
        ]
    )


@pytest.fixture
def gdp(dsn: str, tmp_path: Path, real_series: Path) -> Iterator[tuple[Store, Path]]:
    """A store that holds every GDP release up to November 2024."""
    source = real_series / "alfred" / "GDP_all_releases.csv"
    with open_store(dsn, tmp_path, gdp_catalog()) as store:
        convert(source, "fred/observations/GDP", store.folder)
        path = store.folder / "fred" / "observations" / "GDP.csv"
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["ts", "value", "available_at", "unit"])
            writer.writeheader()
            writer.writerows({**row, "unit": "Billions of Dollars"} for row in rows)
        store.at("2025-01-15")
        store.run()
        yield store, source


def test_every_gdp_release_as_of_every_date(gdp: tuple[Store, Path]) -> None:
    store, source = gdp
    with source.open(newline="") as file:
        archive = list(csv.DictReader(file))
    vintages = sorted({row["realtime_start"] for row in archive})
    assert len(vintages) > 300
    for vintage in vintages:
        released = {
            row["date"]: float(Decimal(row["value"]) * Decimal("1e9"))
            for row in archive
            if row["realtime_start"] <= vintage <= row["realtime_end"] and row["value"] != "."
        }
        # A vintage date is over, everywhere in St. Louis, at 06:00 UTC of the next day.
        known = store.as_of(f"{date.fromisoformat(vintage) + timedelta(days=1)}T06:00:00Z", GDP)
        assert known == released, f"as of {vintage}"


@pytest.mark.parametrize(
    ("feature", "file", "series", "factor"),
    [
        (WALCL, "walcl/WALCL_macro-observer.csv", "WALCL", "1e6"),
        (TGA, "wtregen/WTREGEN_macro-observer.csv", "WTREGEN", "1e6"),
        (RRP, "rrpontsyd/RRPONTSYD_macro-observer.csv", "RRPONTSYD", "1e9"),
    ],
)
def test_all_years_of_a_macro_series_arrive_in_dollars(
    store: Store, real_series: Path, feature: str, file: str, series: str, factor: str
) -> None:
    convert(real_series / file, f"fred/observations/{series}", store.folder)
    store.at("2026-09-01")
    store.run()
    with (real_series / file).open(newline="") as lines:
        expected = {
            row["Date"]: float(Decimal(row["Value"]) * Decimal(factor))
            for row in csv.DictReader(lines)
            if row["Value"] not in ("", ".")
        }
    assert store.values(feature) == expected
    then = store.as_of("2024-06-01", feature)
    assert then == {ts: value for ts, value in expected.items() if ts <= max(then)}
    assert "2024-05-20" < max(then) <= "2024-05-31"


def test_vintages_that_were_seen_are_kept(store: Store, real_series: Path) -> None:
    source = real_series / "_vintages" / "WALCL_first_seen.csv"
    convert(source, "fred/observations/WALCL", store.folder)
    store.at("2026-09-01")
    store.run()
    with source.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    first_snapshot = min(row["seen_at_utc"] for row in rows)
    later = {row["observation_date"]: row["seen_at_utc"] for row in rows if row["seen_at_utc"] > first_snapshot}
    assert len(store.versions()) == len(rows)
    for ts, available_at, basis in store.conn.execute(
        "select ts::date::text, available_at, available_basis from features.features_versions"
    ):
        if ts not in later:
            continue
        seen = datetime.fromisoformat(later[ts]).astimezone(ST_LOUIS).date()
        # At the release scheduled for that date, else (the poller paused) at the end of it.
        assert basis == "vintage"
        assert (available_at - timedelta(microseconds=1)).astimezone(ST_LOUIS).date() == seen, ts


def table(path: Path, ts: str) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [{**row, "day": row[ts]} for row in csv.DictReader(file)]


def take(store: Store, slug: str, stream: str) -> None:
    """Everything of a stream, into features."""
    store.at("2026-10-01")
    for series in store.catalog.series(slug, stream):
        if any((store.folder / slug / stream).glob("*.csv")):
            window = Window(datetime(1990, 1, 1, tzinfo=UTC), store.now())
            ingest(store.conn, store.catalog, store.settings, series, window)
    store.transform()


def flows_of_bitcoin(folder: Path) -> dict[str, dict[str, Decimal]]:
    rows = table(folder / "btc_flows_by_fund_farside_2024_2025.csv", "date")
    return {row["day"]: {fund: Decimal(row[fund]) for fund in row.keys() - {"date", "day"}} for row in rows}


def flows_of_ether(folder: Path) -> dict[str, dict[str, Decimal]]:
    told = json.loads((folder / "eth_flows_by_fund_farside.json").read_text(), parse_float=Decimal)["daily_flows"]
    return {row["date"]: {**row["flows"], "Total": row["total"]} for row in told}


@pytest.mark.parametrize(
    ("stream", "flows", "feature", "last"),
    [
        ("btc", flows_of_bitcoin, "crypto/etf/btc_net_flow_usd", date(2025, 9, 2)),
        ("eth", flows_of_ether, "crypto/etf/eth_net_flow_usd", date(2026, 8, 21)),
    ],
)
def test_real_flows_come_out_as_the_sum_of_their_funds(
    store: Store, real_series: Path, stream: str, flows: Flows, feature: str, last: date
) -> None:
    told = flows(real_series / "etf_flows")
    first = min(told)
    for fund in told[first].keys() - {"Total"}:
        lines = [f"{day},{of_day[fund]}" for day, of_day in told.items()]
        write(store.folder, fund, "\n".join(["ts,value", *lines]) + "\n", f"farside/{stream}")
    take(store, "farside", stream)
    open_days = {session.date.isoformat() for session in sessions("nyse", date.fromisoformat(first), last)}
    expected = {day: float(of_day["Total"] * 10**6) for day, of_day in told.items() if day in open_days}
    held = store.values(feature)
    assert len(expected) > 400
    assert {day: held.get(day) for day in expected} == expected


def test_real_market_values_of_stablecoins_come_out_as_they_are(store: Store, real_series: Path) -> None:
    source = real_series / "stablecoin_mcap" / "stablecoin_supply_finance-terminal.csv"
    convert(source, "defillama/stablecoincharts/all", store.folder)
    take(store, "defillama", "stablecoincharts")
    expected = {row["day"]: float(row["value"]) for row in table(source, "as_of")}
    assert len(expected) > 3_000
    assert store.values("crypto/stables/mcap_total_usd") == expected


@pytest.mark.parametrize(
    ("feature", "symbol", "file", "ts", "close"),
    [
        ("macro/us/vix_index", "CBOE_VIX", "vixcls/vix_finance-terminal.csv", "as_of", "value"),
        ("macro/us/spx_index", "SP_SPX", "sp500/SP500_macro-observer.csv", "Date", "Value"),
        ("macro/us/dxy_index", "TVC_DXY", "dtwexbgs_dxy/DXY_yahoo_2024_2026.csv", "Date", "Close"),
    ],
)
def test_real_closes_of_an_index_come_out_as_they_are(
    store: Store, real_series: Path, feature: str, symbol: str, file: str, ts: str, close: str
) -> None:
    rows = [row for row in table(real_series / file, ts) if row[close]]
    lines = [f"{row['day']},,,,{row[close]}," for row in rows]
    write(store.folder, symbol, "\n".join(["ts,open,high,low,close,volume", *lines]) + "\n", "tradingview/history")
    store.at("2026-10-01")
    [series] = [s for s in store.catalog.series("tradingview", "history") if s.name.replace(":", "_") == symbol]
    ingest(store.conn, store.catalog, store.settings, series)
    store.transform()
    assert store.values(feature) == {row["day"]: float(row[close]) for row in rows}


@pytest.mark.parametrize(
    ("since", "settlements"),
    [("2025-08-01", 258), pytest.param("2019-01-01", 6713, marks=pytest.mark.slow)],  # a partition for each day
)
def test_real_settlements_come_out_at_their_slots(
    store: Store, real_series: Path, since: str, settlements: int
) -> None:
    source = real_series / "funding_rate" / "BTCUSDT_funding_8h.csv"
    convert(source, "binance/funding_rate/BTCUSDT", store.folder)
    store.at("2026-10-01")
    series = store.catalog.series("binance", "funding_rate")[0]
    start = datetime.fromisoformat(since).replace(tzinfo=UTC)
    ingest(store.conn, store.catalog, store.settings, series, Window(start, store.now()))
    store.transform()
    # The table was written from floats; Binance states eight decimals.
    rows = [(int(row["fundingTime"]), round(float(row["fundingRate"]), 8)) for row in table(source, "fundingTime")]
    slots = {datetime.fromtimestamp(round(ms / 1000), UTC): rate for ms, rate in rows}
    expected = {ts: rate for ts, rate in slots.items() if ts >= start}
    held = store.versions_with_times("cex/binance/btcusdt_funding_rate")
    assert {ts: value for ts, value, *_ in held} == expected
    assert len(expected) == settlements
