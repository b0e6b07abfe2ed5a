"""Candle tables of the folder, held as the very lines that Binance serves, so that a page is a slice.

Amounts are whole numbers of 1e-8 wherever they are calculated with: what is served is exact.
"""

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
"""Milliseconds."""
DECIMALS = 8
UNIT = 10**DECIMALS


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; prices and volumes in 1e-8, `opened` in ms since 1970."""

    opened: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_base: int
    taker_quote: int

    def line(self, period: int) -> bytes:
        """The row of an answer; `period` (ms) gives the close time."""
        cells = (
            self.opened,
            *map(amount, (self.open, self.high, self.low, self.close, self.volume)),
            self.opened + period - 1,
            amount(self.quote_volume),
            self.trades,
            *map(amount, (self.taker_base, self.taker_quote)),
            "0",
        )
        return json.dumps(cells, separators=(",", ":")).encode()


@dataclass(frozen=True, eq=False)
class Candles:
    """All candles of one symbol and length, ascending, those of the future too."""

    period: int
    """Length of a candle, ms."""
    opens: "array[int]"
    """Open times, ms since 1970."""
    lines: bytearray
    """The rows as they are served, each followed by a comma."""
    ends: "array[int]"
    """Where each row ends in `lines`, its comma included."""
    traded: "array[int]"
    """How many trades there were up to and with each candle."""

    def visible(self, now: int) -> int:
        """How many candles have opened at `now` (ms)."""
        return bisect_right(self.opens, now)

    def within(self, start: int, end: int) -> tuple[int, int]:
        """The range of candles that open from `start` to `end` (ms), both included."""
        return bisect_left(self.opens, start), bisect_right(self.opens, end)

    def text(self, low: int, high: int) -> bytes:
        """The rows from `low` to before `high`, with commas between."""
        return bytes(memoryview(self.lines)[self._begin(low) : self.ends[high - 1] - 1]) if low < high else b""

    def candles(self, low: int, high: int) -> list[Candle]:
        """The same rows, to be calculated with."""
        return [_candle(cells) for cells in json.loads(b"[" + self.text(low, high) + b"]")]

    def traded_before(self, at: int) -> int:
        """How many trades there were before a candle."""
        return self.traded[at - 1] if at else 0

    def _begin(self, at: int) -> int:
        return self.ends[at - 1] if at else 0


def amount(units: int) -> str:
    """1e-8 as Binance writes it: eight decimals, always."""
    sign = "-" if units < 0 else ""
    return f"{sign}{abs(units) // UNIT}.{abs(units) % UNIT:0{DECIMALS}d}"


def step(*amounts: int) -> int:
    """The largest power of ten of which all amounts are multiples: the tick or lot they are counted in."""
    found = 1
    while found < UNIT and not any(units % (found * 10) for units in amounts):
        found *= 10
    return found


def merged(candles: Iterable[Candle]) -> Candle:
    """Ascending candles as one that opens with the first; there is at least one."""
    held = list(candles)
    return Candle(
        held[0].opened,
        held[0].open,
        max(candle.high for candle in held),
        min(candle.low for candle in held),
        held[-1].close,
        sum(candle.volume for candle in held),
        sum(candle.quote_volume for candle in held),
        sum(candle.trades for candle in held),
        sum(candle.taker_base for candle in held),
        sum(candle.taker_quote for candle in held),
    )


def unfinished(whole: Candle, period: int, elapsed: int) -> Candle:
    """A candle `elapsed` ms after it opened, which is less than its `period`.

    The price goes from the open to the low, the high and the close, a third of the time each; volumes grow evenly.
    So a later look at the same candle never shows a lower high or less volume.
    """
    corners = (whole.open, whole.low, whole.high, whole.close)
    leg = 3 * elapsed // period
    tick = step(*corners)
    left, right = corners[leg], corners[leg + 1]
    price = (left + (right - left) * (3 * elapsed - leg * period) // period) // tick * tick
    seen = (*corners[: leg + 1], price)
    lot, quote_lot = step(whole.volume, whole.taker_base), step(whole.quote_volume, whole.taker_quote)

    def grown(units: int, lot: int) -> int:
        return units * elapsed // period // lot * lot

    return Candle(
        whole.opened,
        whole.open,
        max(seen),
        min(seen),
        price,
        grown(whole.volume, lot),
        grown(whole.quote_volume, quote_lot),
        -(-whole.trades * elapsed // period),
        grown(whole.taker_base, lot),
        grown(whole.taker_quote, quote_lot),
    )


def _candle(cells: list[Any]) -> Candle:
    return Candle(
        cells[0],
        _units(cells[1]),
        _units(cells[2]),
        _units(cells[3]),
        _units(cells[4]),
        _units(cells[5]),
        _units(cells[7]),
        cells[8],
        _units(cells[9]),
        _units(cells[10]),
    )


def _units(text: str) -> int:
    return int(text.replace(".", ""))
