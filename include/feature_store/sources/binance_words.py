"""How Binance writes instants, numbers and counts, and whether an answer is the one that was asked for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from feature_store.errors import Malformed
from feature_store.sources.contract import Payload

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)
FIRST_MICROSECONDS = 10**15
"""Bulk files since 2025, and answers asked for so, count microseconds: 16 digits instead of 13."""


def instant(value: Any) -> datetime:
    """An instant in integer milliseconds, or microseconds where it has that many digits; else Malformed."""
    if type(value) is not int:
        raise Malformed(f"{value!r} is no instant: integer milliseconds were due")
    return EPOCH + value * (MILLISECOND if value < FIRST_MICROSECONDS else MICROSECOND)


def instants(values: Sequence[Any]) -> list[datetime]:
    """The same of many values."""
    if set(map(type, values)) != {int} or max(values) >= FIRST_MICROSECONDS:
        return [instant(value) for value in values]
    return [EPOCH + value * MILLISECOND for value in values]


def count(value: Any) -> int:
    """An integer; else Malformed."""
    if type(value) is not int:
        raise Malformed(f"{value!r} is no count: an integer was due")
    return value


def the_object(payload: Payload, content: Any) -> dict[str, Any]:
    """The content as an object; else Malformed."""
    if not isinstance(content, dict):
        raise Malformed(f"{payload.url} answered no object but {str(content)[:200]!r}", payload)
    return content


def asked(payload: Payload) -> tuple[datetime, datetime]:
    """The span that was asked for, both ends included."""
    return instant(int(payload.params["startTime"])), instant(int(payload.params["endTime"]))


def check_asked(payload: Payload, *found: datetime) -> None:
    """Malformed when one of the instants lies outside of the span that was asked for."""
    first, last = asked(payload)
    for ts in found:
        if not first <= ts <= last:
            raise Malformed(
                f"{payload.url}: {ts.isoformat()} was not asked for: were startTime or endTime ignored?", payload
            )


def check_symbol(payload: Payload, row: Mapping[str, Any]) -> None:
    """Malformed when a row is of another symbol than was asked for."""
    if row["symbol"] != payload.params["symbol"]:
        raise Malformed(f"{payload.url} answered for {row['symbol']!r}", payload)
