"""The same line on real histories (skipped where they are absent): ALFRED's GDP, and the years of the macro series."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import DayRule, Quality
from feature_store.replay.convert import convert

from .store import RRP, TGA, WALCL, Store, open_store, shipped, with_features

GDP = "macro/us/gdp_usd"
ST_LOUIS = ZoneInfo("America/Chicago")


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
