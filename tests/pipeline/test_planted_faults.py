"""Faults planted in one store, each told by the check that is meant for it, and nothing told of the other features."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import stamina

from feature_store.pipeline.streams import ingest_stream
from feature_store.pipeline.transform import transform
from feature_store.quality.checks import Checked, check_features
from feature_store.replay.generate import generate
from tests.conftest import database

from .conftest import NAME
from .store import RRP, TGA, WALCL, Store, open_store, shipped

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
"""A Friday evening in New York."""

VIX, SPX, DXY = "macro/us/vix_index", "macro/us/spx_index", "macro/us/dxy_index"
BTC_FLOWS, ETH_FLOWS = "crypto/etf/btc_net_flow_usd", "crypto/etf/eth_net_flow_usd"
BTC = "crypto/btc/price_usd"
Found = dict[str, Checked]
Row = dict[str, str]


def rewrite(store: Store, path: str, change: Callable[[Row], Row | None]) -> None:
    """Change rows of a series that replay serves, or leave them out."""
    file = store.folder / f"{path}.csv"
    with file.open() as source:
        rows = [changed for row in csv.DictReader(source) if (changed := change(row)) is not None]
    with file.open("w", newline="") as sink:
        writer = csv.DictWriter(sink, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def on(day: str, **values: str) -> Callable[[Row], Row]:
    """That day's row with other values."""
    return lambda row: row | values if row["ts"].startswith(day) else row


def plant(store: Store) -> None:
    """One fault for each of ten features; the Fed's assets and others are left as they are."""
    lost = ("2026-11-04", "2026-11-05", "2026-11-06")
    rewrite(store, "fred/observations/RRPONTSYD", lambda row: None if row["ts"] in lost else row)
    rewrite(store, "fred/observations/WTREGEN", on("2026-11-18", value="751.3"))
    rewrite(
        store,
        "blockchain/hash_rate/hash-rate",
        lambda row: row | {"value": "950000000.5"} if row["ts"] >= "2026-11-10" else row,
    )
    rewrite(store, "tradingview/history/CBOE_VIX", on("2026-11-18", open="-18", high="-17", low="-19", close="-18.5"))
    monday: Row = {}

    def copied(row: Row) -> Row:
        if row["ts"].startswith("2026-11-16"):
            monday.update(row)
        return row | {name: monday[name] for name in row if name != "ts"} if row["ts"].startswith("2026-11-17") else row

    rewrite(store, "tradingview/history/SP_SPX", copied)
    rewrite(store, "defillama/stablecoincharts/all", _ten_times("2026-11-10", "value", "peggedUSD_units"))
    rewrite(store, "binance/klines_1m/ETHUSDT", _ten_times("2026-11-20T09:30", "open", "high", "low", "close"))
    for fund in (store.folder / "farside" / "btc").iterdir():
        rewrite(store, f"farside/btc/{fund.stem}", lambda row: row if row["ts"] < "2026-11-13" else None)
    store.fault(kind="renamed", source="etherscan", field="ProposeGasPrice", to="proposed", count=None)
    store.fault(kind="status", status=503, source="cex", path="bybit", count=None)


def _ten_times(at: str, *columns: str) -> Callable[[Row], Row]:
    def spiked(row: Row) -> Row:
        numbers = {name: f"{10 * float(row[name]):.6f}" for name in columns}
        return row | numbers if row["ts"].startswith(at) else row

    return spiked


@pytest.fixture(scope="module")
def on_days(server: str, stocked: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Found]]:
    """What the checks say of every feature of a store with all of the faults, and when it was silent for days."""
    home = tmp_path_factory.mktemp("planted")
    with database(server, NAME, stocked) as dsn, open_store(dsn, home, shipped()) as store:
        generate(store.folder, NOW, back=timedelta(days=500), minutes_back=timedelta(days=2))
        plant(store)
        store.at(NOW)
        with stamina.set_testing(True, attempts=1):
            for source in store.catalog.connected_sources:
                for stream in store.catalog.streams(source.slug):
                    ingest_stream(store.conn, store.catalog, store.settings, (source.slug, stream))
        transform(store.conn, store.catalog, store.settings, "planted")
        yield {
            "friday": checked_at(store, NOW),
            "sunday": checked_at(store, NOW + timedelta(days=2)),
            "tuesday": checked_at(store, NOW + timedelta(days=4)),
        }


def checked_at(store: Store, at: datetime) -> Found:
    store.at(at)
    found = check_features(store.conn, store.settings, store.catalog, list(store.catalog.features.values()))
    return {each.feature.id: each for each in found}


@pytest.fixture(scope="module")
def checked(on_days: dict[str, Found]) -> Found:
    return on_days["friday"]


@pytest.mark.parametrize(
    ("feature", "rule", "verdict", "words"),
    [
        (RRP, "gap", "warn", ["3 points in a row missing", "2026-11-04", "2026-11-06"]),
        (TGA, "unit", "block", ["10^-3 times what it was", "expected a value in USD, as those before it"]),
        ("onchain/btc/hashrate_ths", "flat_line", "warn", ["the same value, 950000000.5"]),
        (SPX, "duplicate", "warn", ["2 times in a row"]),
        ("crypto/stables/mcap_total_usd", "jump", "block", ["2026-11-10", "expected a value at most 5 times"]),
        ("crypto/eth/price_usd", "jump", "block", ["2026-11-20 09:30", "expected a value at most 2 times"]),
        ("onchain/eth/gas_price_gwei", "schema", "block", ["ProposeGasPrice"]),
        ("cex/agg/spot_depth_2pct_usd", "venues", "warn", ["bybit is missing"]),
        (VIX, "sign", "block", ["2026-11-18", "value is -18.5", "no negative number of index"]),
        (BTC_FLOWS, "freshness", "block", ["of its ttl", "at most 1.5 times its ttl of 1 day, 18:00:00"]),
    ],
)
def test_a_planted_fault_is_told_by_the_check_that_is_meant_for_it(
    checked: dict[str, Checked], feature: str, rule: str, verdict: str, words: list[str]
) -> None:
    found = checked[feature]
    assert [result.rule for result in found.failures][:1] == [rule], [str(result) for result in found.failures]
    assert found.verdict == verdict
    message = str(found.failures[0])
    assert message.startswith(f"{feature}: {rule}: ")
    for part in words:
        assert part in message


def test_nothing_is_told_of_the_others(checked: dict[str, Checked]) -> None:
    untouched = {
        WALCL, DXY, ETH_FLOWS, BTC,
        "cex/binance/btcusdt_volume_usd", "cex/binance/btcusdt_funding_rate", "onchain/btc/supply_btc",
        "onchain/eth/tvl_usd", "dex/agg/active_liquidity_usd",
    }  # fmt: skip
    told = {name: list(map(str, checked[name].failures)) for name in untouched if checked[name].failures}
    assert told == {}


@pytest.mark.parametrize(
    ("feature", "sunday", "tuesday"), [(DXY, True, False), (SPX, True, False), (BTC, False, False)]
)
def test_a_source_that_is_silent_over_a_weekend_is_missed_only_where_its_market_is_open(
    on_days: dict[str, Found], feature: str, sunday: bool, tuesday: bool
) -> None:
    def is_fresh(day: str) -> bool:
        [result] = [result for result in on_days[day][feature].results if result.rule == "freshness"]
        return result.success

    def is_stale(day: str) -> bool:
        found = on_days[day][feature]
        assert found.age is not None
        return found.age > timedelta(milliseconds=found.feature.ttl_ms)

    assert is_fresh("friday")
    assert (is_fresh("sunday"), is_fresh("tuesday")) == (sunday, tuesday)
    assert (is_stale("sunday"), is_stale("tuesday")) == (not sunday, not tuesday)
