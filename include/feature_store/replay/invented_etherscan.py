"""Invented gas prices: a week's rhythm around a level that wanders from midnight to midnight, and a few rushes."""

from collections.abc import Iterator
from datetime import date
from math import exp, log
from random import Random

from feature_store.catalog import Catalog
from feature_store.replay.invented import Extent, Invented

HEADER = ("ts", "value")
STEP = 5
"""Minutes from one price to the next."""
LEVEL, WANDER, NOISE = log(2.2), 0.45, 0.08
"""The logarithm of the usual price in gwei, and standard deviations around it: of a midnight, of a step."""
LOWEST, HIGHEST = 0.49, 30.0
WEEKEND = -0.3
RUSH = 0.003
"""Share of the prices at which everybody wants to be in the next block."""
HOURS = [0.55 * max(-1.0, 1 - abs(hour - 15) / 5) for hour in range(24)]
"""The day's rhythm, in logarithms: busiest in the American morning."""


def etherscan(_: Catalog, extent: Extent) -> Iterator[Invented]:
    """The price that the oracle proposes, every five minutes."""
    yield "gasoracle", "ProposeGasPrice", HEADER, _prices(extent)


def _prices(extent: Extent) -> Iterator[tuple[str, str]]:
    for ordinal in range(extent.minutes_start.toordinal(), extent.minutes_horizon.toordinal() + 1):
        day = date.fromordinal(ordinal)
        opened, closed = _midnight(day, extent.seed), _midnight(date.fromordinal(ordinal + 1), extent.seed)
        random = Random(f"{extent.seed}:etherscan:{day}")  # noqa: S311 - invented numbers, no secrets
        weekday = WEEKEND if day.weekday() >= 5 else 0.0
        for minute in range(0, 1440, STEP):
            level = LEVEL + opened + (closed - opened) * minute / 1440
            rush = random.uniform(0.7, 2.2) if random.random() < RUSH else 0.0
            price = exp(level + HOURS[minute // 60] + weekday + rush + random.gauss(0, NOISE))
            price = min(max(price, LOWEST + random.random() / 1000), HIGHEST)
            yield f"{day}T{minute // 60:02d}:{minute % 60:02d}:00Z", f"{price:.9f}"


def _midnight(day: date, seed: int) -> float:
    return Random(f"{seed}:etherscan:{day}:midnight").gauss(0, WANDER)  # noqa: S311
