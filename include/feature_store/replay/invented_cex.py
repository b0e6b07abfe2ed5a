"""What the venues of the CEX aggregator show: drawn from the venue, the clock and the price alone, without a file.

The price is BTCUSDT's on Binance, a few basis points off for each venue. A book has so many levels a side, closer
together near the mid; open interest goes up and down by a few percent over days and hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import pi, sin
from random import Random

LEVELS, REACH = 900, 0.025
"""Levels of a side, and how far from the mid the last one is."""
DAY = 86_400
SECONDS_OF_WAVES = (11 * DAY, 2.3 * DAY, 5 * 3600)
Level = tuple[str, str]


@dataclass(frozen=True)
class Moment:
    """An instant of the market: BTCUSDT's price, and the clock (UTC)."""

    price: float
    at: datetime

    @property
    def ms(self) -> int:
        """Milliseconds since 1970."""
        return round(self.at.timestamp() * 1000)


@dataclass(frozen=True)
class Spot:
    """A venue's book: its distance from Binance's price, the coins within its reach on a side, how it spells them."""

    basis_points: float
    tick: Decimal
    coins: int
    price_decimals: int
    quantity_decimals: int


SPOT = {
    "binance": Spot(0.0, Decimal("0.01"), 1300, 8, 8),
    "okx": Spot(0.4, Decimal("0.1"), 420, 1, 8),
    "bybit": Spot(-0.3, Decimal("0.1"), 380, 1, 6),
    "coinbase": Spot(3.1, Decimal("0.01"), 650, 2, 8),
    "kraken": Spot(2.6, Decimal("0.1"), 500, 5, 3),
    "bitget": Spot(-0.8, Decimal("0.01"), 240, 2, 6),
}
OPEN_INTEREST = {
    "binance": 110_000.0,
    "binance-coin": 12_500_000.0,
    "okx-linear": 3_100_000.0,
    "okx-inverse": 6_200_000.0,
    "bybit-linear": 58_000.0,
    "bybit-inverse": 780_000_000.0,
    "kraken-linear": 3_600.0,
    "kraken-inverse": 28_000_000.0,
    "deribit-inverse": 1_150_000_000.0,
    "deribit-linear": 4_200.0,
    "bitget": 39_000.0,
}
"""Typical counts in each one's own unit: coins; dollars for inverse contracts; contracts at OKX and binance-coin."""


def price(venue: str, moment: Moment) -> Decimal:
    """The venue's mid, on its tick."""
    spot = SPOT[venue]
    return round(moment.price * (1 + spot.basis_points / 10_000) / float(spot.tick)) * spot.tick


def book(venue: str, moment: Moment, levels: int) -> tuple[list[Level], list[Level]]:
    """Bids and asks as (price, quantity), the best first; as many of each as asked for, and as there are."""
    sides = (_side(venue, moment, side) for side in (-1, 1))
    bids, asks = ([level for level, _ in zip(side, range(levels), strict=False)] for side in sides)
    return bids, asks


def open_interest(name: str, moment: Moment) -> float:
    """A count of OPEN_INTEREST at an instant."""
    phase, seconds = Random(name).random() * 2 * pi, moment.at.timestamp()  # noqa: S311 - invented, no secrets
    waves = sum(sin(2 * pi * seconds / period + phase) for period in SECONDS_OF_WAVES)
    return OPEN_INTEREST[name] * (1 + 0.02 * waves)


def _side(venue: str, moment: Moment, side: int) -> Iterator[Level]:
    spot, mid = SPOT[venue], price(venue, moment)
    random = Random(f"{venue}:{side}:{moment.ms // 1000}")  # noqa: S311
    far = float(mid) * REACH / float(spot.tick)
    typical = spot.coins / LEVELS * (1 + 0.2 * sin(2 * pi * moment.at.timestamp() / DAY))
    steps = 0
    for level in range(1, LEVELS + 1):
        steps = max(steps + 1, round(far * (level / LEVELS) ** 1.5))
        quantity = typical * random.uniform(0.1, 1.9)
        shown = f"{mid + side * steps * spot.tick:.{spot.price_decimals}f}"
        yield shown, f"{quantity:.{spot.quantity_decimals}f}"
