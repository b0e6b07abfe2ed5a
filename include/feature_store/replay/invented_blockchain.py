"""Invented histories of Blockchain.com: hash rate, bitcoins mined and price by day.

Everything about a day is drawn from the seed and its own date. Its point appears soon after it has ended, from what is
known by then, is whole a day later, and the hash rate is now and then estimated once more.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from feature_store.catalog import Catalog
from feature_store.replay.convert import shown
from feature_store.replay.folder import plain
from feature_store.replay.invented import Entry, Extent, Invented, anchors, interpolated
from feature_store.replay.invented_binance import midnight

HEADER = ("ts", "value", "available_at")
DAY = timedelta(days=1)
PARTIAL, WHOLE, AGAIN = DAY + timedelta(minutes=40), 2 * DAY, 3 * DAY + timedelta(minutes=40)
"""From a day's start: when its point appears, when it is whole as the catalog has it, and when it may change again."""
ESTIMATED_AGAIN = 0.3
"""Share of the days whose hash rate changes again."""
SWING, WIDEST = 0.035, 0.07
"""Of the hash rate from day to day, as blocks are found by chance: standard deviation, and the most."""
BLOCKS_A_DAY, LATE_BLOCKS = 144, 40

HASH_RATE = anchors(
    ("2018-11-22", 43.0e6),
    ("2020-03-13", 112.0e6),
    ("2021-05-10", 172.0e6),
    ("2021-07-01", 90.0e6),
    ("2022-11-01", 265.0e6),
    ("2024-04-20", 625.0e6),
    ("2025-10-15", 1090.0e6),
    ("2026-03-16", 930.0e6),
    ("2026-08-20", 900.0e6),
    ("2030-12-31", 2000.0e6),
)
"""In TH/s."""
HALVINGS = (
    (date(2016, 7, 9), Decimal(15_750_000), Decimal("12.5")),
    (date(2020, 5, 11), Decimal(18_375_000), Decimal("6.25")),
    (date(2024, 4, 20), Decimal("19687500"), Decimal("3.125")),
    (date(2028, 4, 17), Decimal("20343750"), Decimal("1.5625")),
    (date(2032, 4, 12), Decimal("20671875"), Decimal("0.78125")),
)
"""First day, bitcoins mined before it, and what a block brings from then on."""


def blockchain(_: Catalog, extent: Extent) -> Iterator[Invented]:
    """Blockchain.com's three charts."""
    yield "hash_rate", "hash-rate", HEADER, _hash_rates(extent)
    yield "total_bitcoins", "total-bitcoins", HEADER, _bitcoins(extent)
    yield "market_price", "market-price", HEADER, _prices(extent)


def _hash_rates(extent: Extent) -> Iterator[Entry]:
    for day, random in _days(extent, "hash-rate"):
        rate = interpolated(HASH_RATE, day) * (1 + max(-WIDEST, min(WIDEST, random.gauss(0, SWING))))
        yield _entry(day, PARTIAL, f"{rate * random.uniform(0.92, 1.01):.7f}")
        yield _entry(day, WHOLE, f"{rate:.7f}")
        if random.random() < ESTIMATED_AGAIN:
            yield _entry(day, AGAIN, f"{rate * (1 + random.gauss(0, 0.01)):.7f}")


def _bitcoins(extent: Extent) -> Iterator[Entry]:
    for day, random in _days(extent, "total-bitcoins"):
        since, before, reward = [halving for halving in HALVINGS if halving[0] <= day][-1]
        following = next(halving for halving in HALVINGS if halving[0] > day)
        share = (day + DAY - since) / (following[0] - since)
        blocks = int(float((following[1] - before) / reward) * share) - random.randrange(LATE_BLOCKS)
        yield _entry(day, PARTIAL, plain(before + reward * (blocks - random.randrange(BLOCKS_A_DAY // 4))))
        yield _entry(day, WHOLE, plain(before + reward * blocks))


def _prices(extent: Extent) -> Iterator[Entry]:
    """In the middle of what Binance's minutes of the day are invented around."""
    for day, random in _days(extent, "market-price"):
        price = (midnight("BTCUSDT", day, extent.seed) + midnight("BTCUSDT", day + DAY, extent.seed)) / 2
        yield _entry(day, PARTIAL, f"{price * (1 + random.gauss(0, 0.002)):.2f}")
        yield _entry(day, WHOLE, f"{price:.2f}")


def _days(extent: Extent, name: str) -> Iterator[tuple[date, Random]]:
    for ordinal in range(extent.start.toordinal(), extent.horizon.toordinal() + 1):
        day = date.fromordinal(ordinal)
        yield day, Random(f"{extent.seed}:blockchain:{name}:{day}")  # noqa: S311 - invented numbers, no secrets


def _entry(day: date, delay: timedelta, value: str) -> Entry:
    ts = datetime.combine(day, time.min, UTC)
    return shown(ts), value, f"{ts + delay:%Y-%m-%dT%H:%M:%SZ}"
