"""What must hold of raw rows and of candidates: every rule, its threshold and its reason.

A rule of scope `row` keeps single rows out; one of scope `table` says that the whole table cannot be trusted.
`block` rules decide what is published, `warn` rules only tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import PUBLISH_TABLE

Severity = Literal["block", "warn"]
Scope = Literal["row", "table"]

CANDIDATES = "candidates"
"""The suite, and the table in schema `features`, of what may be published."""

KEY = ("feature_id", "version", "ts", "available_at")
"""What makes a candidate the one it is."""

BASES = ("vintage", "schedule", "backfilled", "ingested", "stated")
GRAINS = ("intraday", "daily")

_CANDIDATE_COLUMNS = (
    *KEY, "grain", "value", "available_basis", "is_provisional", "confidence", "meta", "evidence",
)  # fmt: skip
_ALWAYS_KNOWN = ("grain", "available_basis", "is_provisional", "confidence", "meta", "evidence")


@dataclass(frozen=True)
class Rule:
    """One expectation: its Great Expectations type and arguments, what it means and why it is there."""

    name: str
    expectation: str
    kwargs: Mapping[str, Any]
    expected: str
    """What a right value looks like, in words: part of every message about a wrong one."""
    reason: str
    severity: Severity = "block"
    scope: Scope = "row"
    feature: str | None = None


@dataclass(frozen=True)
class RawTable:
    """A raw table that is judged: `raw.<slug>_<stream>`, its columns and its key. What is published has one too."""

    slug: str
    stream: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]
    """Columns that are never null, the key included."""

    @property
    def name(self) -> str:
        """The table's name in schema `raw`."""
        return f"{self.slug}_{self.stream}"


_LOADED = ("fetch_id", "reading", "fetched_at", "available_at", "available_basis", "is_provisional", "xid")
"""What the loader adds to every row of a source."""

_CANDLE = (
    "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades", "taker_base_volume",
    "taker_quote_volume",
)  # fmt: skip
_KEY_OF_A_READING = ("series", "ts", "fetch_id", "reading")
_REQUIRED = ("series", "ts", "fetch_id", "reading", "fetched_at", "available_at")


def _table(slug: str, stream: str, *values: str) -> RawTable:
    return RawTable(slug, stream, ("series", "ts", *values, *_LOADED), _KEY_OF_A_READING, _REQUIRED)


RAW_TABLES = (
    RawTable(
        slug="fred",
        stream="observations",
        columns=("series", "ts", "vintage_date", "value", "unit", *_LOADED),
        key=("series", "ts", "vintage_date", "fetch_id", "reading"),
        required=("series", "ts", "vintage_date", "fetch_id", "reading", "unit", "fetched_at", "available_at"),
    ),
    _table("binance", "klines_1m", *_CANDLE),
    _table("binance", "klines_1h", *_CANDLE),
    _table("binance", "funding_rate", "funding_time", "funding_rate", "mark_price"),
    _table(
        "binance", "ticker_24h",
        "price_change", "price_change_percent", "weighted_avg_price", "prev_close_price",
        "last_price", "last_qty", "bid_price", "bid_qty", "ask_price", "ask_qty", "open_price", "high_price",
        "low_price", "volume", "quote_volume", "open_time", "first_id", "last_id", "count",
    ),
    _table("farside", "btc", "value", "funds", "is_partial"),
    _table("farside", "eth", "value", "funds", "is_partial"),
    _table("defillama", "stablecoincharts", "total_circulating_usd", "circulating_usd", "circulating"),
    _table("defillama", "protocols", "tvl", "protocols", "unknown"),
    _table("defillama", "historical_chain_tvl", "tvl"),
    _table("blockchain", "hash_rate", "value"),
    _table("blockchain", "total_bitcoins", "value"),
    _table("blockchain", "market_price", "value"),
    _table(
        "etherscan", "gasoracle",
        "value", "last_block", "safe_gas_price", "fast_gas_price", "suggest_base_fee", "gas_used_ratio",
    ),
    _table("tradingview", "history", "open", "high", "low", "close", "volume"),
    _table(
        "binance", "depth",
        "last_update_id", "best_bid", "best_ask", "bid_depth_2pct", "ask_depth_2pct", "bid_reach", "ask_reach",
        "is_truncated",
    ),
    _table("binance", "open_interest", "open_interest"),
    _table("binance", "open_interest_hist", "sum_open_interest", "sum_open_interest_value", "cmc_circulating_supply"),
    _table(
        "cex", "books",
        "depth_2pct_usd", "bid_depth_2pct_usd", "ask_depth_2pct_usd", "venues", "answered", "asked", "is_truncated",
    ),
    _table("cex", "open_interest", "open_interest_usd", "venues", "answered", "asked"),
    RawTable(
        slug="published",
        stream="points",
        columns=(
            "published_id", "feature_id", "version", "grain", "ts", "value", "available_at", "available_basis",
            "is_provisional", "confidence", "meta", "evidence", "fetch_id", "fetched_at", "xid",
        ),
        key=(*KEY, "fetch_id"),
        required=(*KEY, "value", "fetch_id", "fetched_at"),
    ),
)  # fmt: skip
"""The raw tables there are."""


def candidate_rules(catalog: Catalog) -> Iterator[Rule]:
    """The rules of `features.candidates`."""
    yield from _shape_of_candidates()
    yield Rule(
        "known_feature",
        "expect_column_values_to_be_in_set",
        {"column": "feature_id", "value_set": sorted(catalog.features)},
        expected="a feature of the catalog",
        reason="a point of a feature nobody described has no unit, no range and no owner",
    )
    yield Rule(
        "not_in_the_future",
        "expect_column_values_to_be_between",
        # The store's own clock at the time of judging.
        {"column": "available_at", "max_value": {"$PARAMETER": "now"}},
        expected="available_at not later than the store's now",
        reason="nothing is known before its source could serve it: a later instant means a wrong release rule",
    )
    yield Rule(
        "confidence_is_a_share",
        "expect_column_values_to_be_between",
        {"column": "confidence", "min_value": 0.0, "max_value": 1.0},
        expected="confidence from 0 to 1",
        reason="confidence is a share by definition",
    )
    yield _one_of("available_basis", BASES, "readers decide by it what was known when")
    yield _one_of("grain", GRAINS, "it decides the partition")
    for column in _ALWAYS_KNOWN:
        yield _not_null(column, "row", "only a value may be missing: that is how a source withdraws it")
    for feature in catalog.features.values():
        yield _expected_range(feature)


def raw_rules(catalog: Catalog, table: RawTable) -> Iterator[Rule]:
    """The rules of a raw table."""
    yield _columns(table.columns, "connector and migrations must mean the same table")
    for column in table.required:
        yield _not_null(column, "table", "the loader knows it of every row")
    yield _unique(table.key, "a row added twice would look like two versions")
    yield _known_feature(catalog) if table.name == PUBLISH_TABLE else _known_series(catalog, table)
    yield _one_of("available_basis", BASES, "readers decide by it what was known when", severity="warn")
    yield Rule(
        "not_available_after_it_was_fetched",
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "fetched_at", "column_B": "available_at", "or_equal": True},
        expected="available_at not later than fetched_at",
        reason="what we hold has been available: a later instant means a wrong release rule",
        severity="warn",
    )
    yield Rule(
        "not_fetched_in_the_future",
        "expect_column_values_to_be_between",
        {"column": "fetched_at", "max_value": {"$PARAMETER": "now"}},
        expected="fetched_at not later than the store's now",
        reason="the clock never moves back",
        severity="warn",
    )


def _known_series(catalog: Catalog, table: RawTable) -> Rule:
    return Rule(
        "known_series",
        "expect_column_values_to_be_in_set",
        {"column": "series", "value_set": sorted(series.name for series in catalog.series(table.slug, table.stream))},
        expected="a series of the catalog",
        reason="rows of a series that has left the catalog stay, and feed nothing",
        severity="warn",
    )


def _known_feature(catalog: Catalog) -> Rule:
    return Rule(
        "known_feature",
        "expect_column_values_to_be_in_set",
        {
            "column": "feature_id",
            "value_set": sorted(feature.id for feature in catalog.features.values() if not feature.is_derived),
        },
        expected="a feature of the catalog that is not computed",
        reason="points of a feature that has left the catalog stay, and feed nothing",
        severity="warn",
    )


def _shape_of_candidates() -> Iterator[Rule]:
    yield _columns(_CANDIDATE_COLUMNS, "the writer appends exactly these columns")
    for column in KEY:
        yield _not_null(column, "table", "a version without its whole key cannot be told from another")
    yield _unique(KEY, "the writer could not tell which of two to append")


def _columns(names: tuple[str, ...], reason: str) -> Rule:
    return Rule(
        "columns",
        "expect_table_columns_to_match_set",
        {"column_set": sorted(names)},
        expected=f"the columns {', '.join(names)}",
        reason=reason,
        scope="table",
    )


def _unique(key: tuple[str, ...], reason: str) -> Rule:
    return Rule(
        "unique_key",
        "expect_compound_columns_to_be_unique",
        {"column_list": list(key)},
        expected=f"one row per ({', '.join(key)})",
        reason=reason,
        scope="table",
    )


def _not_null(column: str, scope: Scope, reason: str) -> Rule:
    return Rule(
        f"{column}_is_known",
        "expect_column_values_to_not_be_null",
        {"column": column},
        expected=f"{column} in every row",
        reason=reason,
        scope=scope,
    )


def _one_of(column: str, allowed: tuple[str, ...], reason: str, severity: Severity = "block") -> Rule:
    return Rule(
        f"known_{column}",
        "expect_column_values_to_be_in_set",
        {"column": column, "value_set": list(allowed)},
        expected=f"{column} one of {', '.join(allowed)}",
        reason=reason,
        severity=severity,
    )


def _expected_range(feature: FeatureSpec) -> Rule:
    low, high = feature.quality.expected_range
    return Rule(
        "expected_range",
        "expect_column_values_to_be_between",
        {
            "column": "value",
            "min_value": low,
            "max_value": high,
            "row_condition": {
                "type": "comparison",
                "column": {"name": "feature_id"},
                "operator": "==",
                "parameter": feature.id,
            },
        },
        expected=f"value from {low:.10g} to {high:.10g} {feature.unit}",
        reason="quality.expected_range of the catalog: outside it lies a wrong unit, scale or sign",
        feature=feature.id,
    )
