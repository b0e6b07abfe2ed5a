"""Invented histories of DefiLlama: estimates of the running day, and rewrites of hundreds of days at once.

Everything about a day is drawn from the seed and its own date, rewrites from the date on which they happen.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from feature_store.catalog import Catalog
from feature_store.replay.convert import shown
from feature_store.replay.folder import FURTHER, plain
from feature_store.replay.invented import Anchors, Entry, Extent, Invented, anchors, interpolated

HEADER = ("ts", "value", "available_at")
ESTIMATED, SETTLED = timedelta(hours=3), timedelta(days=1, hours=6, minutes=30)
"""From a day's start: about when its row appears, within the hour, and when it is final, as the catalog has it."""
REWRITES_EVERY, REWRITTEN_DAYS, REWRITTEN_AT = 210, 300, timedelta(hours=14)
REWRITTEN_BY = (0.003, 0.007)
"""Bounds of how much a rewrite moves the days before it, up or down."""
DIP = 0.01
"""Share of the estimates of a chain's value that miss whole protocols."""

STABLECOINS = anchors(
    ("2017-11-29", 0.11e6),
    ("2018-11-22", 2.8e9),
    ("2020-03-01", 6.0e9),
    ("2021-01-01", 28.0e9),
    ("2021-06-01", 106.0e9),
    ("2022-05-01", 187.0e9),
    ("2023-09-01", 124.0e9),
    ("2024-12-01", 195.0e9),
    ("2025-10-01", 296.0e9),
    ("2026-08-20", 308.0e9),
    ("2030-12-31", 600.0e9),
)
EUROS = anchors(("2020-12-31", 30.0e6), ("2022-05-01", 420.0e6), ("2026-08-20", 770.0e6), ("2030-12-31", 2.0e9))
YEN = anchors(("2023-08-10", 15.0e6), ("2026-08-20", 150.0e6), ("2030-12-31", 400.0e6))
"""In dollars. Before its first day a peg is absent."""
EURO, HUNDRED_YEN = 1.14, 0.63
ETHEREUM = anchors(
    ("2018-11-22", 0.2e9),
    ("2020-03-13", 0.5e9),
    ("2020-09-01", 8.0e9),
    ("2021-05-11", 86.0e9),
    ("2021-07-20", 49.0e9),
    ("2021-11-09", 107.0e9),
    ("2022-06-18", 31.0e9),
    ("2023-10-12", 20.5e9),
    ("2024-06-05", 66.0e9),
    ("2025-04-08", 43.0e9),
    ("2025-10-06", 96.0e9),
    ("2026-02-05", 53.0e9),
    ("2026-08-20", 60.0e9),
    ("2030-12-31", 150.0e9),
)
DEXS = anchors(("2024-01-01", 13.0e9), ("2025-10-06", 25.0e9), ("2026-08-20", 17.0e9), ("2030-12-31", 40.0e9))

Amounts = Callable[[date, float, int], Entry]
"""The cells of a day's value and of what the stream states beside it, with so many decimals."""


def defillama(_: Catalog, extent: Extent) -> Iterator[Invented]:
    """DefiLlama's stablecoins, Ethereum's value locked, and that of the category Dexs by the hour."""
    header = (*HEADER, *FURTHER["stablecoincharts"])
    yield "stablecoincharts", "all", header, _daily(extent, "stablecoins", STABLECOINS, (0.001, 0.0002, 0), _pegs)
    yield "historical_chain_tvl", "Ethereum", HEADER, _daily(extent, "tvl", ETHEREUM, (0.02, 0.003, 2), _alone)
    yield "protocols", "Dexs", ("ts", "value"), _dexs(extent)


def _daily(
    extent: Extent, name: str, level: Anchors, how: tuple[float, float, int], amounts: Amounts
) -> Iterator[Entry]:
    """Estimate, final value and rewrites of every day; `how` is the noise of the value and of its estimate, and the
    decimals of the final value."""
    noise, miss, decimals = how
    for day in _days(extent):
        random = Random(f"{extent.seed}:defillama:{name}:{day}")  # noqa: S311 - invented numbers, no secrets
        ts = datetime.combine(day, time.min, UTC)
        value = interpolated(level, day) * (1 + random.gauss(0, noise))
        estimate = value * (1 + random.gauss(0, miss)) * (0.95 if decimals and random.random() < DIP else 1)
        yield _entry(ts, ts + ESTIMATED + timedelta(minutes=random.randrange(60)), amounts(day, estimate, 2))
        yield _entry(ts, ts + SETTLED, amounts(day, value, decimals))
        for rewrite in _rewrites(day):
            drawn = Random(f"{extent.seed}:defillama:{name}:rewrite:{rewrite}")  # noqa: S311
            value *= 1 + drawn.choice((-1, 1)) * drawn.uniform(*REWRITTEN_BY)
            at = datetime.combine(rewrite, time.min, UTC) + REWRITTEN_AT
            yield _entry(ts, at, amounts(day, value, decimals))


def _rewrites(day: date) -> Iterator[date]:
    """The days on which a settled day is rewritten."""
    first, last = day.toordinal() + 2, day.toordinal() + REWRITTEN_DAYS
    for ordinal in range(first + -first % REWRITES_EVERY, last + 1, REWRITES_EVERY):
        yield date.fromordinal(ordinal)


def _entry(ts: datetime, at: datetime, cells: Entry) -> Entry:
    return shown(ts), cells[0], f"{at:%Y-%m-%dT%H:%M:%SZ}", *cells[1:]


def _alone(_: date, value: float, decimals: int) -> Entry:
    return (_text(value, decimals),)


def _pegs(day: date, value: float, decimals: int) -> Entry:
    """All pegs in dollars, the units of the dollars, then dollars and units of the others."""
    euros = interpolated(EUROS, day) if day >= EUROS[0][0] else 0.0
    yen = interpolated(YEN, day) if day >= YEN[0][0] else 0.0
    amounts = ((value - euros - yen) / 0.9995, euros, euros / EURO, yen, yen / HUNDRED_YEN * 100)
    return _text(value, decimals), *(_text(amount, decimals) if amount else "" for amount in amounts)


def _text(amount: float, decimals: int) -> str:
    return plain(Decimal(f"{amount:.{decimals}f}"))


def _dexs(extent: Extent) -> Iterator[Entry]:
    for ordinal in range(extent.minutes_start.toordinal(), extent.minutes_horizon.toordinal() + 1):
        day = date.fromordinal(ordinal)
        random = Random(f"{extent.seed}:defillama:dexs:{day}")  # noqa: S311
        level = interpolated(DEXS, day) * (1 + random.gauss(0, 0.01))
        for hour in range(24):
            yield f"{day}T{hour:02d}:00:00Z", _text(level * (1 + random.gauss(0, 0.002)), 2)


def _days(extent: Extent) -> Iterator[date]:
    return (date.fromordinal(at) for at in range(extent.start.toordinal(), extent.horizon.toordinal() + 1))
