"""Invented daily bars of indices. The S&P 500 and the VIX close where FRED's invented series of the same day do."""

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from feature_store.catalog import Catalog, SeriesSpec
from feature_store.replay.invented import Entry, Extent, Invented, Level, anchors, observations
from feature_store.replay.invented_fred import FRED
from feature_store.replay.tradingview_bars import COLUMNS

DXY = Level(
    anchors(
        ("2018-01-02", 92.0),
        ("2018-11-12", 97.4),
        ("2020-03-20", 102.8),
        ("2021-01-06", 89.6),
        ("2022-09-27", 113.5),
        ("2023-07-14", 100.0),
        ("2025-01-13", 109.5),
        ("2025-07-01", 96.9),
        ("2026-12-31", 98.5),
    ),
    noise=0.003,
    memory=0.95,
    decimals=3,
)
CLOSES_AT_FRED = {"SP:SPX": "SP500", "CBOE:VIX": "VIXCLS"}
SWINGS = {"TVC:DXY": 0.003, "SP:SPX": 0.006, "CBOE:VIX": 0.04}
"""How far a day goes beyond its open and close, as a share."""
VOLUMES = {"SP:SPX": 2_500_000_000}
"""A usual day's; the other feeds have none."""


def tradingview(catalog: Catalog, extent: Extent) -> Iterator[Invented]:
    """TradingView's bars."""
    fred = {spec.name: spec for spec in catalog.series("fred", "observations")}
    for spec in catalog.series("tradingview", "history"):
        if spec.name in CLOSES_AT_FRED:
            name = CLOSES_AT_FRED[spec.name]
            bars = _bars(spec.name, fred[name], FRED[name][0], extent)
        elif spec.name == "TVC:DXY":
            bars = _bars(spec.name, spec, DXY, extent)
        else:
            continue
        yield "history", spec.name.replace(":", "_"), COLUMNS, bars


def _bars(symbol: str, spec: SeriesSpec, level: Level, extent: Extent) -> Iterator[Entry]:
    before: Decimal | None = None
    for observation in observations(spec, extent, level):
        day, close = observation.ts.date(), observation.value
        random = Random(f"{extent.seed}:{symbol}:{day}:bar")  # noqa: S311 - invented numbers, no secrets
        gap, above, below = random.gauss(0, 0.1), random.random(), random.random()
        swing = Decimal(SWINGS[symbol])
        first = ((before or close) * (1 + swing * Decimal(gap))).quantize(close)
        high = (max(first, close) * (1 + swing * Decimal(above))).quantize(close)
        low = (min(first, close) * (1 - swing * Decimal(below))).quantize(close)
        volume = VOLUMES.get(symbol)
        traded = "" if volume is None else str(int(volume * (0.7 + 0.6 * random.random())))
        yield str(day), *map(str, (first, high, low, close)), traded
        before = close
