"""Binance's spot order book. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from feature_store.errors import Malformed
from feature_store.sources.binance_words import count, the_object
from feature_store.sources.contract import Payload, Row, check_fields, decimal_in_text

logger = logging.getLogger(__name__)

NEAR = Decimal("0.02")
"""How far from the mid the depth reaches, as a share of it."""
REACH = Decimal("1e-8")
"""What shares are rounded to."""

_FIELDS = frozenset({"lastUpdateId", "bids", "asks"})
_CELLS = 2

Levels = list[tuple[Decimal, Decimal]]


def book(payload: Payload, content: Any) -> Row:
    """What lies within 2 % of the mid on each side, in the quote currency, as of the answer's arrival.

    The book states no instant of its own. Of a book with an empty side nothing is known but its number. Malformed
    when sides are unsorted or cross each other.
    """
    said = the_object(payload, content)
    check_fields(payload, said, _FIELDS)
    bids, asks = _levels(payload, said, "bids"), _levels(payload, said, "asks")
    _check_order(payload, "bids descend", [-price for price, _ in bids])
    _check_order(payload, "asks ascend", [price for price, _ in asks])
    values: dict[str, Any] = dict.fromkeys(
        ("best_bid", "best_ask", "bid_depth_2pct", "ask_depth_2pct", "bid_reach", "ask_reach", "is_truncated")
    )
    if bids and asks:
        values |= _around_mid(payload, bids, asks)
    return Row(payload.params["symbol"], payload.fetched_at, {"last_update_id": count(said["lastUpdateId"]), **values})


def _around_mid(payload: Payload, bids: Levels, asks: Levels) -> dict[str, Any]:
    best_bid, best_ask = bids[0][0], asks[0][0]
    if best_bid >= best_ask:
        raise Malformed(f"{payload.url}: the book is crossed: {best_bid} is bid and {best_ask} asked", payload)
    mid = (best_bid + best_ask) / 2
    low, high = mid * (1 - NEAR), mid * (1 + NEAR)
    last_bid, last_ask = bids[-1][0], asks[-1][0]
    return {
        "best_bid": best_bid,
        "best_ask": best_ask,
        "bid_depth_2pct": sum((price * quantity for price, quantity in bids if price >= low), Decimal()),
        "ask_depth_2pct": sum((price * quantity for price, quantity in asks if price <= high), Decimal()),
        "bid_reach": ((mid - last_bid) / mid).quantize(REACH),
        "ask_reach": ((last_ask - mid) / mid).quantize(REACH),
        "is_truncated": last_bid > low or last_ask < high,
    }


def _levels(payload: Payload, said: dict[str, Any], side: str) -> Levels:
    levels = said[side]
    if not isinstance(levels, list) or not all(isinstance(level, list) and len(level) >= _CELLS for level in levels):
        raise Malformed(f"{payload.url}: {side} are no list of prices with their quantities", payload)
    if any(len(level) > _CELLS for level in levels):
        logger.warning("%s: %s have unknown cells: read on without them", payload.url, side)
    found = [(Decimal(decimal_in_text(level[0])), Decimal(decimal_in_text(level[1]))) for level in levels]
    if any(price <= 0 or quantity < 0 for price, quantity in found):
        raise Malformed(f"{payload.url}: {side} have a price or a quantity below zero", payload)
    return found


def _check_order(payload: Payload, due: str, prices: Sequence[Decimal]) -> None:
    if any(before >= after for before, after in pairwise(prices)):
        raise Malformed(f"{payload.url}: the book is out of order: {due}, each price once", payload)
