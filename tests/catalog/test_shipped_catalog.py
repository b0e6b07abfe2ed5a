"""What the shipped catalog says of every source and feature."""

from decimal import Decimal

import pytest

from feature_store.catalog import Catalog, load_catalog
from feature_store.settings import ROOT

HOUR = 3_600_000
DAY = 24 * HOUR
MINUTE = 60_000

SOURCES = {
    # id: slug, class, per minute, reliability, credentials
    "fred": ("fred", "macro", 120, 0.99, ("FRED_API_KEY",)),
    "farside": ("farside", "macro", 60, 0.95, ()),
    "defillama": ("defillama", "onchain", 300, 0.97, ()),
    "binance-api": ("binance", "cex", 1200, 0.99, ()),
    "blockchain-com": ("blockchain", "onchain", 180, 0.98, ()),
    "etherscan": ("etherscan", "onchain", 300, 0.99, ("ETHERSCAN_API_KEY",)),
    "tradingview": ("tradingview", "macro", 600, 0.98, ("TRADINGVIEW_DATAFEED_URL",)),
    "cex-aggregator": ("cex", "derived", 10000, 0.99, ()),
}

FEATURES = {
    # id: entity, unit, frequency, calendar, label, period, ttl, range, seasonal
    "macro/us/walcl_total_usd": (
        "macro",
        "USD",
        "1d",
        "weekly-wed",
        "instant",
        None,
        10 * DAY,
        (4e11, 2e13),
        False,
    ),
    "macro/us/tga_balance_usd": (
        "macro",
        "USD",
        "1d",
        "weekly-wed",
        "end",
        "P7D",
        10 * DAY,
        (2e9, 3e12),
        True,
    ),
    "macro/us/rrp_total_usd": (
        "macro",
        "USD",
        "1d",
        "fed-desk",
        "instant",
        None,
        48 * HOUR,
        (0, 3.5e12),
        False,
    ),
    "crypto/etf/btc_net_flow_usd": (
        "asset",
        "USD",
        "1d",
        "nyse",
        "start",
        "session",
        42 * HOUR,
        (-3e9, 3e9),
        False,
    ),
    "crypto/etf/eth_net_flow_usd": (
        "asset",
        "USD",
        "1d",
        "nyse",
        "start",
        "session",
        42 * HOUR,
        (-2e9, 2e9),
        False,
    ),
    "crypto/stables/mcap_total_usd": (
        "market",
        "USD",
        "1d",
        "24x7",
        "start",
        "P1D",
        32 * HOUR,
        (1e6, 2e12),
        False,
    ),
    "crypto/stables/mcap_total_usd_yoy": (
        "market",
        "ratio",
        "1d",
        "24x7",
        "start",
        "P1D",
        32 * HOUR,
        (-1, 1000),
        False,
    ),
    "crypto/btc/price_usd": ("pair", "USD", "1m", "24x7", "start", "PT1M", 5 * MINUTE, (0.01, 5e6), False),
    "crypto/eth/price_usd": ("pair", "USD", "1m", "24x7", "start", "PT1M", 5 * MINUTE, (0.1, 1e6), False),
    "cex/agg/spot_depth_2pct_usd": (
        "market",
        "USD",
        "5m",
        "24x7",
        "instant",
        None,
        20 * MINUTE,
        (1e6, 1e11),
        False,
    ),
    "cex/agg/perp_oi_usd": ("market", "USD", "5m", "24x7", "instant", None, 20 * MINUTE, (1e8, 1e12), False),
    "dex/agg/active_liquidity_usd": (
        "market",
        "USD",
        "1h",
        "24x7",
        "instant",
        None,
        150 * MINUTE,
        (1e8, 1e12),
        False,
    ),
    "cex/binance/btcusdt_volume_usd": (
        "pair",
        "USD",
        "1h",
        "24x7",
        "start",
        "PT1H",
        150 * MINUTE,
        (0, 1e12),
        True,
    ),
    "cex/binance/btcusdt_funding_rate": (
        "pair",
        "ratio",
        "tick",
        "funding",
        "instant",
        None,
        9 * HOUR,
        (-0.05, 0.05),
        False,
    ),
    "onchain/btc/hashrate_ths": ("asset", "TH/s", "1d", "24x7", "start", "P1D", 50 * HOUR, (0, 1e11), False),
    "onchain/btc/supply_btc": ("asset", "BTC", "1d", "24x7", "start", "P1D", 50 * HOUR, (0, 2.1e7), False),
    "onchain/eth/gas_price_gwei": (
        "asset",
        "gwei",
        "5m",
        "24x7",
        "instant",
        None,
        20 * MINUTE,
        (0.001, 1e4),
        True,
    ),
    "onchain/eth/tvl_usd": ("asset", "USD", "1d", "24x7", "instant", None, 56 * HOUR, (0, 1e12), False),
    "macro/us/dxy_index": (
        "macro",
        "index",
        "1d",
        "fx-weekdays",
        "start",
        "session",
        26 * HOUR,
        (60, 180),
        False,
    ),
    "macro/us/spx_index": ("macro", "index", "1d", "nyse", "start", "session", 26 * HOUR, (10, 1e5), False),
    "macro/us/vix_index": ("macro", "index", "1d", "nyse", "start", "session", 26 * HOUR, (5, 200), False),
}

CHANGES = {
    # id: revises, provisional
    "macro/us/walcl_total_usd": ("vintages", "none"),
    "macro/us/tga_balance_usd": ("vintages", "none"),
    "macro/us/rrp_total_usd": ("vintages", "none"),
    "crypto/etf/btc_net_flow_usd": (5, "partial"),
    "crypto/etf/eth_net_flow_usd": (5, "partial"),
    "crypto/stables/mcap_total_usd": ("deep", "estimate"),
    "crypto/btc/price_usd": ("never", "partial"),
    "crypto/eth/price_usd": ("never", "partial"),
    "cex/agg/spot_depth_2pct_usd": ("never", "none"),
    "cex/agg/perp_oi_usd": ("never", "none"),
    "dex/agg/active_liquidity_usd": ("never", "none"),
    "cex/binance/btcusdt_volume_usd": ("never", "partial"),
    "cex/binance/btcusdt_funding_rate": ("never", "none"),
    "onchain/btc/hashrate_ths": (3, "partial"),
    "onchain/btc/supply_btc": ("never", "partial"),
    "onchain/eth/gas_price_gwei": ("never", "none"),
    "onchain/eth/tvl_usd": ("deep", "partial"),
    "macro/us/dxy_index": ("never", "partial"),
    "macro/us/spx_index": ("never", "partial"),
    "macro/us/vix_index": ("never", "partial"),
}

ALL_IDS = list(load_catalog(ROOT / "include" / "catalog").features)


def test_there_are_eight_sources_and_twenty_one_seed_features(catalog: Catalog) -> None:
    assert list(catalog.sources) == list(SOURCES)
    beyond = {"macro/us/net_liquidity_usd"} | {name for name in catalog.features if name.endswith("_sa")}
    assert set(catalog.features) - beyond == set(FEATURES)


@pytest.mark.parametrize("source_id", SOURCES)
def test_a_source_is_as_the_seed_has_it(catalog: Catalog, source_id: str) -> None:
    source = catalog.source(source_id)
    found = (
        source.slug,
        source.source_class,
        source.rate_limit.per_minute,
        source.reliability,
        source.credentials,
    )
    assert found == SOURCES[source_id]


@pytest.mark.parametrize("feature_id", FEATURES)
def test_a_feature_is_as_the_seed_has_it(catalog: Catalog, feature_id: str) -> None:
    spec = catalog.feature(feature_id)
    assert (
        spec.entity,
        spec.unit,
        spec.frequency,
        spec.calendar,
        spec.label,
        spec.period,
        spec.ttl_ms,
        spec.quality.expected_range,
        spec.quality.seasonal,
    ) == FEATURES[feature_id]


@pytest.mark.parametrize("feature_id", CHANGES)
def test_a_connectors_feature_says_how_its_source_changes_values(catalog: Catalog, feature_id: str) -> None:
    rules = catalog.feature(feature_id).rules
    revises = rules.revises if isinstance(rules.revises, str) else rules.revises.tail
    assert (revises, rules.provisional) == CHANGES[feature_id]


@pytest.mark.parametrize("feature_id", ALL_IDS)
def test_the_wire_form_has_the_seeds_names_and_reads_back_the_same(catalog: Catalog, feature_id: str) -> None:
    spec = catalog.feature(feature_id)
    wire = spec.wire()
    assert {"id", "entity", "description", "unit", "frequency", "ttl_ms", "tags", "source", "quality"} <= set(wire)
    assert set(wire["source"]) == {"id", "class", "schema"}
    assert type(spec).model_validate(wire) == spec


@pytest.mark.parametrize(
    ("stream", "history"),
    [
        ("fred/observations", "full"),
        ("farside/btc", "full"),
        ("defillama/stablecoincharts", "full"),
        ("defillama/protocols", "none"),
        ("binance/klines_1m", "full"),
        ("binance/depth", "none"),
        ("binance/open_interest_hist", 30),
        ("etherscan/gasoracle", "none"),
        ("tradingview/history", "full"),
        ("cex/books", "none"),
    ],
)
def test_a_stream_says_how_far_back_it_answers(catalog: Catalog, stream: str, history: str | int) -> None:
    slug, name = stream.split("/")
    found = catalog.source(slug).streams[name].history
    assert (found if isinstance(found, str) else found.days) == history


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        ("fred/observations", "forever"),
        ("farside/btc", "forever"),
        ("defillama/stablecoincharts", "forever"),
        ("defillama/protocols", 90),
        ("binance/klines_1m", 365),
        ("binance/depth", 90),
        ("binance/open_interest_hist", "forever"),
        ("etherscan/gasoracle", 365),
        ("tradingview/history", "forever"),
        ("cex/books", 90),
    ],
)
def test_a_stream_says_how_long_the_bytes_of_its_answers_are_kept(
    catalog: Catalog, stream: str, payloads: str | int
) -> None:
    slug, name = stream.split("/")
    found = catalog.source(slug).streams[name].payloads
    assert (found if isinstance(found, str) else found.days) == payloads


def test_every_series_of_a_stream_is_listed_with_the_features_it_feeds(catalog: Catalog) -> None:
    series = {spec.name: spec for spec in catalog.series("fred", "observations")}
    assert set(series) == {"WALCL", "WTREGEN", "RRPONTSYD", "SP500", "VIXCLS", "DTWEXBGS"}
    assert series["WTREGEN"].feature_ids == ("macro/us/tga_balance_usd",)
    assert series["WTREGEN"].units == ("billions of us dollars", "millions of us dollars")
    assert series["SP500"].feature_ids == ()


def test_vintage_dates_of_fred_are_dates_in_st_louis(catalog: Catalog) -> None:
    assert catalog.source("fred").streams["observations"].zone == "America/Chicago"


@pytest.mark.parametrize("feature_id", [name for name, row in FEATURES.items() if row[-1]])
def test_a_seasonal_feature_has_an_adjusted_twin(catalog: Catalog, feature_id: str) -> None:
    spec, twin = catalog.feature(feature_id), catalog.feature(f"{feature_id}_sa")
    assert twin.inputs == (feature_id,)
    assert (twin.source.id, twin.source.source_class, twin.quality.seasonal) == (
        "feature-store",
        "derived",
        False,
    )
    assert (twin.unit, twin.frequency, twin.calendar, twin.version) == (
        spec.unit, spec.frequency, spec.calendar, spec.version,
    )  # fmt: skip


def test_net_liquidity_is_made_of_walcl_tga_and_rrp(catalog: Catalog) -> None:
    spec = catalog.feature("macro/us/net_liquidity_usd")
    assert spec.inputs == ("macro/us/walcl_total_usd", "macro/us/tga_balance_usd", "macro/us/rrp_total_usd")
    assert spec.max_age == "P10D"


def test_the_treasury_account_scales_by_the_unit_of_its_vintage(catalog: Catalog) -> None:
    spec = catalog.feature("macro/us/tga_balance_usd")
    assert Decimal("370.51") * spec.factor("Billions of U.S. Dollars") == Decimal("370510000000")
    assert Decimal("370507") * spec.factor("millions of US  dollars") == Decimal("370507000000")
