"""The raw tables that are judged: their columns and keys."""

from dataclasses import dataclass

KEY = ("feature_id", "version", "ts", "available_at")
"""What makes a candidate the one it is."""


@dataclass(frozen=True)
class RawTable:
    """A raw table that is judged: `raw.<slug>_<stream>`, its columns and its key. What is published has one too."""

    slug: str
    stream: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]
    """Columns that are never null, the key included."""
    never_falls: str | None = None
    """A column that only grows with ts."""

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


def _table(slug: str, stream: str, *values: str, never_falls: str | None = None) -> RawTable:
    return RawTable(slug, stream, ("series", "ts", *values, *_LOADED), _KEY_OF_A_READING, _REQUIRED, never_falls)


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
    _table("blockchain", "total_bitcoins", "value", never_falls="value"),
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
