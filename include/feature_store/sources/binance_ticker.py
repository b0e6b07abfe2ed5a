"""Binance's rolling 24-hour statistics. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints"""

from typing import Any

from feature_store.sources.binance_words import check_symbol, count, instant, the_object
from feature_store.sources.contract import Payload, Row, check_fields, decimal_in_text

NUMBERS = {
    "priceChange": "price_change",
    "priceChangePercent": "price_change_percent",
    "weightedAvgPrice": "weighted_avg_price",
    "prevClosePrice": "prev_close_price",
    "lastPrice": "last_price",
    "lastQty": "last_qty",
    "bidPrice": "bid_price",
    "bidQty": "bid_qty",
    "askPrice": "ask_price",
    "askQty": "ask_qty",
    "openPrice": "open_price",
    "highPrice": "high_price",
    "lowPrice": "low_price",
    "volume": "volume",
    "quoteVolume": "quote_volume",
}
COUNTS = {"firstId": "first_id", "lastId": "last_id", "count": "count"}
"""Binance's name → column of the raw table."""
_FIELDS = frozenset({"symbol", "openTime", "closeTime", *NUMBERS, *COUNTS})


def ticker(payload: Payload, content: Any) -> Row:
    """The statistics of one symbol, at the instant where their 24 hours end; else Malformed."""
    row = the_object(payload, content)
    check_fields(payload, row, _FIELDS)
    check_symbol(payload, row)
    return Row(
        row["symbol"],
        instant(row["closeTime"]),
        {
            **{column: decimal_in_text(row[name]) for name, column in NUMBERS.items()},
            "open_time": instant(row["openTime"]),
            **{column: count(row[name]) for name, column in COUNTS.items()},
        },
    )
