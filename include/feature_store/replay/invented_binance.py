"""Invented histories of Binance: minutes of two symbols, their funding, open interest; outages and quiet minutes.

A day is drawn from the seed, its own date and the next midnight's price alone: whatever the folder's extent, it is
the same. Hours are not written: the server sums them up from the minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random

from feature_store.catalog import Catalog
from feature_store.errors import ReplayError
from feature_store.replay.binance_interest import COLUMNS as INTEREST_COLUMNS
from feature_store.replay.binance_tables import COLUMNS
from feature_store.replay.convert import write_csv
from feature_store.replay.invented import Anchors, Entry, Extent, Invented, anchors, interpolated

MINUTES_A_DAY = 1440
DAY = timedelta(days=1)
MIDNIGHT_NOISE, MINUTE_NOISE = 0.015, 0.0006
"""Standard deviations: of midnight's price around its level, and of a minute's step, as fractions of the price."""
QUIET = 0.002
"""Share of the minutes in which nobody trades."""
OUTAGE_EVERY = 9
"""Days from one outage of the exchange to the next."""
BUSTLE = [0.6 + max(0.0, 1 - abs(minute - 15 * 60) / (8 * 60)) for minute in range(MINUTES_A_DAY)]
"""The day's rhythm of trade, busiest in the American morning."""
FUNDING_HEADER = ("ts", "value", "mark_price")
INTEREST_MINUTES = 5
INTEREST_LEVEL, INTEREST_NOISE, INTEREST_STEP = 100_000.0, 0.04, 0.0004
"""Open interest in base coins; standard deviations of midnight's around it, and of a step of five minutes."""


@dataclass(frozen=True)
class Market:
    """How a symbol trades: its price in USDT over the years, and the base coin's busiest minute."""

    level: Anchors
    lot_decimals: int
    lots: int
    """Typical volume of a minute, in lots."""


MARKETS = {
    "BTCUSDT": Market(
        anchors(
            ("2017-08-17", 4300.0),
            ("2018-12-15", 3200.0),
            ("2020-03-13", 5700.0),
            ("2021-11-09", 66900.0),
            ("2022-11-21", 15800.0),
            ("2024-03-13", 73100.0),
            ("2025-10-06", 124700.0),
            ("2026-02-05", 62800.0),
            ("2026-08-20", 80000.0),
            ("2030-12-31", 150000.0),
        ),
        lot_decimals=5,
        lots=900_000,
    ),
    "ETHUSDT": Market(
        anchors(
            ("2017-08-17", 300.0),
            ("2018-12-15", 83.0),
            ("2020-03-13", 136.0),
            ("2021-11-09", 4730.0),
            ("2022-11-21", 1105.0),
            ("2024-03-13", 4010.0),
            ("2025-10-06", 4690.0),
            ("2026-02-05", 1820.0),
            ("2026-08-20", 2400.0),
            ("2030-12-31", 5000.0),
        ),
        lot_decimals=4,
        lots=1_500_000,
    ),
}
"""Symbol → its market. Prices have two decimals."""


def binance(_: Catalog, extent: Extent) -> Iterator[Invented]:
    """Binance's minutes and settled funding rates, and the open interest of one perpetual."""
    yield "open_interest_hist", "BTCUSDT", INTEREST_COLUMNS, _interest("BTCUSDT", extent)
    for symbol in MARKETS:
        yield "klines_1m", symbol, COLUMNS, minutes(symbol, extent.minutes_start, extent.minutes_horizon, extent.seed)
        yield "funding_rate", symbol, FUNDING_HEADER, _funding(symbol, extent)


def write_minutes(folder: Path, symbol: str, start: date, end: date, seed: int = 7) -> Path:
    """Write the minutes of the days from `start` to `end` (UTC, both included) into a replay folder; any span.

    ReplayError for a symbol that has no market here.
    """
    if symbol not in MARKETS:
        raise ReplayError(f"no market is invented for {symbol!r}; there are {', '.join(MARKETS)}")
    path = folder / "binance" / "klines_1m" / f"{symbol}.csv"
    write_csv(path, COLUMNS, minutes(symbol, start, end, seed))
    return path


def minutes(symbol: str, start: date, end: date, seed: int) -> Iterator[Entry]:
    """Rows of the folder's table, of the days from `start` to `end`, both included; dates are UTC."""
    for day in _days(start, end):
        yield from _minutes(symbol, day, seed)


def outage(day: date, seed: int) -> range:
    """The minutes of a day in which the exchange was down, for all symbols alike; on most days none."""
    if day.toordinal() % OUTAGE_EVERY:
        return range(0)
    random = Random(f"{seed}:binance:outage:{day}")  # noqa: S311 - invented numbers, no secrets
    start = random.randrange(2 * 60, 5 * 60)
    return range(start, start + random.randint(10, 80))


def _minutes(symbol: str, day: date, seed: int) -> Iterator[Entry]:
    market, prices, down = MARKETS[symbol], _prices(symbol, day, seed), outage(day, seed)
    drawn = Random(f"{seed}:{symbol}:{day}:trades").random  # noqa: S311
    scale, lot = 10**market.lot_decimals, f".{market.lot_decimals}f"
    quote_scale, quote = 100 * scale, f".{market.lot_decimals + 2}f"
    for minute in range(MINUTES_A_DAY):
        opened, closed = prices[minute], prices[minute + 1]
        above, below, busy, share = drawn(), drawn(), drawn(), drawn()
        if minute in down:
            continue
        if busy < QUIET:
            closed, lots, high, low = opened, 0, opened, opened
        else:
            lots = 1 + int(market.lots * (0.2 + busy**4 * 5) * BUSTLE[minute])
            wick = opened * MINUTE_NOISE / 2
            high = max(opened, closed) + int(wick * above)
            low = min(opened, closed) - int(wick * below)
        mean, taken = (opened + high + low + closed) // 4, int(lots * (0.3 + 0.4 * share))
        yield (
            f"{day}T{minute // 60:02d}:{minute % 60:02d}:00Z",
            f"{opened / 100:.2f}",
            f"{high / 100:.2f}",
            f"{low / 100:.2f}",
            f"{closed / 100:.2f}",
            format(lots / scale, lot),
            format(lots * mean / quote_scale, quote),
            str(lots and 1 + lots // 1500),
            format(taken / scale, lot),
            format(taken * mean / quote_scale, quote),
        )


@lru_cache(maxsize=8)
def _prices(symbol: str, day: date, seed: int) -> list[int]:
    """The price in cents at each minute of a day and at the next midnight: a walk between the two midnights."""
    opened, closed = midnight(symbol, day, seed), midnight(symbol, day + DAY, seed)
    random = Random(f"{seed}:{symbol}:{day}:prices")  # noqa: S311
    walked, steps = 0.0, [0.0]
    for _ in range(MINUTES_A_DAY):
        walked += random.gauss(0, MINUTE_NOISE)
        steps.append(walked)
    return [
        round(100 * (opened + (closed - opened) * at / MINUTES_A_DAY) * (1 + step - walked * at / MINUTES_A_DAY))
        for at, step in enumerate(steps)
    ]


def midnight(symbol: str, day: date, seed: int) -> float:
    """The price at the start of a day, UTC, through which the day's minutes walk."""
    random = Random(f"{seed}:{symbol}:{day}:midnight")  # noqa: S311
    return interpolated(MARKETS[symbol].level, day) * (1 + random.gauss(0, MIDNIGHT_NOISE))


def _funding(symbol: str, extent: Extent) -> Iterator[Entry]:
    """Every eight hours; four of ten settlements are some milliseconds late."""
    for day in _days(extent.minutes_start, extent.minutes_horizon):
        prices = _prices(symbol, day, extent.seed)
        random = Random(f"{extent.seed}:{symbol}:{day}:funding")  # noqa: S311
        for hour in (0, 8, 16):
            late = random.randint(1, 47) if random.random() < 0.42 else 0
            capped, rate = random.random() < 0.22, random.gauss(0.000055, 0.00005)
            mark = prices[hour * 60] / 100 * (1 + random.gauss(0, 0.0002))
            at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(milliseconds=late)
            yield (
                at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "0.0001" if capped else f"{rate:.8f}",
                f"{mark:.8f}",
            )


def _interest(symbol: str, extent: Extent) -> Iterator[Entry]:
    """Every five minutes, at the price of that minute: a walk between two midnights, as the price is."""
    for day in _days(extent.minutes_start, extent.minutes_horizon):
        prices = _prices(symbol, day, extent.seed)
        opened, closed = (_midnight_interest(symbol, at, extent.seed) for at in (day, day + DAY))
        random = Random(f"{extent.seed}:{symbol}:{day}:interest")  # noqa: S311
        steps = list(accumulate(random.gauss(0, INTEREST_STEP) for _ in range(MINUTES_A_DAY // INTEREST_MINUTES)))
        for at, step in enumerate(steps):
            share, minute = at / len(steps), at * INTEREST_MINUTES
            coins = (opened + (closed - opened) * share) * (1 + step - steps[-1] * share)
            yield (
                f"{day}T{minute // 60:02d}:{minute % 60:02d}:00Z",
                f"{coins:.3f}",
                f"{coins * prices[minute] / 100:.2f}",
            )


def _midnight_interest(symbol: str, day: date, seed: int) -> float:
    random = Random(f"{seed}:{symbol}:{day}:midnight interest")  # noqa: S311
    return INTEREST_LEVEL * (1 + random.gauss(0, INTEREST_NOISE))


def _days(start: date, end: date) -> Iterator[date]:
    return (date.fromordinal(ordinal) for ordinal in range(start.toordinal(), end.toordinal() + 1))
