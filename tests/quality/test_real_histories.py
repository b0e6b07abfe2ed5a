"""Clean real histories: few warnings, and nothing of the great moves is kept out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from feature_store.catalog import Catalog
from feature_store.catalog.contracts import Quality
from feature_store.quality.changes import compare
from tests.recordings import HISTORIES, needs_recordings

pytestmark = needs_recordings


class History(NamedTuple):
    """A file, its columns of instants and values, and the feature it is one of, or is like."""

    path: str
    instant: str
    value: str
    feature: str
    scale: float = 1
    frequency: str | None = None
    keep: Callable[[pd.DataFrame], "pd.Series[bool]"] = lambda rows: rows["value"].notna()


def _told(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The collector of this file filled days without a number with zeros."""
    return rows["value"] != 0


REAL = [
    History("walcl/WALCL_macro-observer.csv", "Date", "Value", "macro/us/walcl_total_usd", 1e6),
    History("wtregen/WTREGEN_macro-observer.csv", "Date", "Value", "macro/us/tga_balance_usd", 1e6),
    History("rrpontsyd/RRPONTSYD_macro-observer.csv", "Date", "Value", "macro/us/rrp_total_usd", 1e9),
    History("sp500/SP500_macro-observer.csv", "Date", "Value", "macro/us/spx_index"),
    History("sp500/GSPC_yahoo_long.csv", "Date", "Value", "macro/us/spx_index"),
    History("vixcls/vix_finance-terminal.csv", "as_of", "value", "macro/us/vix_index"),
    History("dtwexbgs_dxy/DXY_yahoo_2024_2026.csv", "Date", "Close", "macro/us/dxy_index"),
    History("btc_usd/btc_daily_finance-terminal.csv", "as_of", "value", "crypto/btc/price_usd", 1, "1d"),
    History("eth_usd/eth_daily_finance-terminal.csv", "as_of", "value", "crypto/eth/price_usd", 1, "1d"),
    History("btc_usd/BTCUSDT_perp_1h.csv.gz", "open_time_ms", "close", "crypto/btc/price_usd", 1, "1h"),
    History("eth_usd/ETHUSDT_perp_1h.csv.gz", "open_time_ms", "close", "crypto/eth/price_usd", 1, "1h"),
    History(
        "etf_flows/btc_flows_by_fund_farside_2024_2025.csv",
        "date", "Total", "crypto/etf/btc_net_flow_usd", 1e6, None, _told,
    ),
    History("funding_rate/BTCUSDT_funding_8h.csv", "fundingTime", "fundingRate", "cex/binance/btcusdt_funding_rate"),
    History(
        "stablecoin_mcap/stablecoin_supply_finance-terminal.csv", "as_of", "value", "crypto/stables/mcap_total_usd"
    ),
    History(
        "open_interest/btc_futures_oi_all_exchanges_usd.csv", "date", "futures_open_interest", "cex/agg/perp_oi_usd",
        1, "1d",
    ),
]  # fmt: skip

CRASHES = [
    ("macro/us/spx_index", "2020-03-01", "2020-04-01"),
    ("macro/us/vix_index", "2020-03-01", "2020-04-01"),
    ("crypto/btc/price_usd", "2020-03-01", "2020-04-01"),
    ("crypto/eth/price_usd", "2020-03-01", "2020-04-01"),
    ("macro/us/walcl_total_usd", "2020-03-01", "2020-05-01"),
    ("crypto/btc/price_usd", "2022-11-01", "2022-12-01"),
    ("crypto/eth/price_usd", "2022-11-01", "2022-12-01"),
    ("crypto/stables/mcap_total_usd", "2022-11-01", "2022-12-01"),
]


def _points(history: History) -> pd.DataFrame:
    rows = pd.read_csv(HISTORIES / history.path)
    instants = rows[history.instant]
    is_number = pd.api.types.is_numeric_dtype(instants)
    ts = pd.to_datetime(instants, unit="ms" if is_number else None, utc=True).dt.as_unit("us")
    found = pd.DataFrame({"ts": ts, "value": pd.to_numeric(rows[history.value], errors="coerce") * history.scale})
    found = found[history.keep(found) & found["value"].notna()].sort_values("ts").reset_index(drop=True)
    return found.assign(
        feature_id=history.feature, version=1, available_at=found["ts"], is_candidate=True, factor=np.nan, amount=np.nan
    )


def _compared(history: History, catalog: Catalog) -> tuple[pd.DataFrame, Quality]:
    feature = catalog.feature(history.feature)
    if history.frequency:
        feature = feature.model_copy(update={"frequency": history.frequency})
    return compare(_points(history), feature), feature.quality


def _warnings(found: pd.DataFrame, quality: Quality) -> "pd.Series[bool]":
    most = quality.repeats or len(found)
    is_copy = (found["repeats"] == 2) & (most == 1)
    return (found["score"] > 1) | (found["repeats"] == max(most + 1, 3)) | is_copy


def _blocked(found: pd.DataFrame, quality: Quality) -> "pd.Series[bool]":
    assert quality.jump is not None
    low, high = quality.expected_range
    return (found["distance"] > (quality.jump.factor or quality.jump.amount)) | ~found["value"].between(low, high)


@pytest.mark.parametrize("history", REAL, ids=lambda history: history.path)
def test_at_most_one_point_in_two_hundred_of_a_clean_history_is_warned_of(history: History, catalog: Catalog) -> None:
    found, quality = _compared(history, catalog)
    assert len(found) > 400
    assert _warnings(found, quality).mean() <= 0.005


@pytest.mark.parametrize("history", REAL, ids=lambda history: history.path)
def test_nothing_of_a_clean_history_is_kept_out(history: History, catalog: Catalog) -> None:
    found, quality = _compared(history, catalog)
    outside = found[_blocked(found, quality)]
    # The first weeks of stablecoins, of less than a million dollars, are out of the range that the catalog gives them.
    assert outside["ts"].max() < pd.Timestamp("2018-01-11", tz="UTC") if "stables" in history.feature else outside.empty


@pytest.mark.parametrize(("feature", "since", "until"), CRASHES)
def test_the_great_moves_are_published(feature: str, since: str, until: str, catalog: Catalog) -> None:
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (since, until))
    for history in [history for history in REAL if history.feature == feature]:
        found, quality = _compared(history, catalog)
        there = found[(found["ts"] >= start) & (found["ts"] < end)]
        assert len(there) > 3
        assert not _blocked(there, quality).any()
