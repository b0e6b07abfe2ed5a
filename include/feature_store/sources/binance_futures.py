"""Binance's perpetuals: settled funding and open interest. https://developers.binance.com/docs/derivatives/usds-margined-futures"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from feature_store.sources.binance_words import check_asked, check_symbol, instant, the_object
from feature_store.sources.contract import Payload, Row, check_fields, decimal_in_text, is_count_in_text

PERIOD, PERIOD_LENGTH = "5m", timedelta(minutes=5)
"""What the history of open interest is asked for by: its finest."""

_FUNDING = frozenset({"symbol", "fundingTime", "fundingRate"})
_OPEN_INTEREST = frozenset({"symbol", "openInterest", "time"})
_OPEN_INTEREST_HIST = frozenset({"symbol", "sumOpenInterest", "sumOpenInterestValue", "timestamp"})
_SUPPLY = "CMCCirculatingSupply"


def settlements(payload: Payload, content: list[dict[str, Any]]) -> Iterator[Row]:
    """Settled funding rates by their slots; each keeps its own instant as `funding_time`."""
    for row in content:
        # Old rows have no mark price, or an empty one.
        check_fields(payload, _without(row, "markPrice"), _FUNDING)
        check_symbol(payload, row)
        settled = instant(row["fundingTime"])
        check_asked(payload, settled)
        yield Row(
            row["symbol"],
            _to_the_second(settled),
            {
                "funding_time": settled,
                "funding_rate": decimal_in_text(row["fundingRate"]),
                "mark_price": _number_if_any(row.get("markPrice")),
            },
        )


def open_interest(payload: Payload, content: Any) -> Row:
    """Open interest in base coins, as of the source's own instant."""
    row = the_object(payload, content)
    check_fields(payload, row, _OPEN_INTEREST)
    check_symbol(payload, row)
    return Row(row["symbol"], instant(row["time"]), {"open_interest": decimal_in_text(row["openInterest"])})


def open_interest_hist(payload: Payload, content: list[dict[str, Any]]) -> Iterator[Row]:
    """Open interest every five minutes, in base coins and in the quote currency."""
    for row in content:
        # Answers of before 2025 have no supply.
        check_fields(payload, _without(row, _SUPPLY), _OPEN_INTEREST_HIST)
        check_symbol(payload, row)
        ts = history_instant(row)
        check_asked(payload, ts)
        yield Row(
            row["symbol"],
            ts,
            {
                "sum_open_interest": decimal_in_text(row["sumOpenInterest"]),
                "sum_open_interest_value": decimal_in_text(row["sumOpenInterestValue"]),
                "cmc_circulating_supply": _number_if_any(row.get(_SUPPLY)),
            },
        )


def history_instant(row: dict[str, Any]) -> datetime:
    """The instant of a row of the history: documented as text, seen as a number."""
    stated = row["timestamp"]
    return instant(int(stated) if is_count_in_text(stated) else stated)


def _without(row: dict[str, Any], optional: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != optional}


def _number_if_any(text: Any) -> str | None:
    return None if text in (None, "") else decimal_in_text(text)


def _to_the_second(settled: datetime) -> datetime:
    """The funding slot: settlements are stamped up to 47 ms after it."""
    return (settled + timedelta(milliseconds=500)).replace(microsecond=0)
