"""Seasonal adjustment in plain Python, one point at a time: what the model in SQL must come to."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Version:
    """A version of the input, as stored at `stored` (UTC)."""

    ts: datetime
    value: float | None
    available_at: datetime
    stored: datetime
    is_provisional: bool = False


@dataclass(frozen=True)
class Season:
    """How a cycle is cut into cells."""

    cell: timedelta
    origin: datetime
    cycle: int
    lags: tuple[int, ...]
    caution: float
    is_shared: bool
    """Whether hours of the day, and days of the week, have parts of their own."""

    def cell_of(self, ts: datetime) -> int:
        return (ts - self.origin) // self.cell

    @property
    def reach(self) -> int:
        """How many cells back the window begins."""
        return self.cycle - 1 + max(self.lags) + (self.cycle - 1) * self.is_shared + self.cycle // 2


SEASONS = {
    "hour-of-week": Season(timedelta(hours=1), EPOCH, 168, tuple(168 * week for week in range(1, 9)), 1, True),
    # Six years back, each to the nearest whole week; weeks begin on Mondays.
    "week-of-year": Season(
        timedelta(weeks=1),
        datetime(1969, 12, 29, tzinfo=UTC),
        52,
        tuple(round(year * 365.2425 / 7) for year in range(1, 7)),
        1.25,
        False,
    ),
}


@dataclass(frozen=True)
class Adjusted:
    """A version of the twin."""

    value: float | None
    method: Literal["multiplicative", "additive"] | None
    effect: float
    observations: int


def corrected(versions: Sequence[Version]) -> dict[tuple[datetime, datetime], Version]:
    """Of each (ts, available_at) what was stored last, in order of available_at."""
    told = {(v.ts, v.available_at): v for v in sorted(versions, key=lambda v: v.stored)}
    return dict(sorted(told.items(), key=lambda item: item[0][1]))


def adjust(season: Season, told: dict[tuple[datetime, datetime], Version], key: tuple[datetime, datetime]) -> Adjusted:
    """The version of the twin with that (ts, available_at), by corrected versions."""
    state = {ts: v for (ts, available_at), v in told.items() if available_at <= key[1]}
    values = {v.ts: v.value for v in state.values() if v.value is not None and not v.is_provisional}
    return _adjusted(season, values, told[key])


def _adjusted(season: Season, values: dict[datetime, float], point: Version) -> Adjusted:
    if point.value is None:
        return Adjusted(None, None, 0, 0)
    here = season.cell_of(point.ts)
    first, last = here - season.reach, here - season.cycle // 2 - 1
    cells: dict[int, list[float]] = {}
    for ts, value in sorted(values.items()):
        if first <= season.cell_of(ts) <= last:
            cells.setdefault(season.cell_of(ts) - first, []).append(value)
    is_positive = point.value > 0 and all(value > 0 for held in cells.values() for value in held)
    x = np.full(last - first + 1, np.nan)
    for cell, held in cells.items():
        x[cell] = np.mean(np.log(held)) if is_positive else np.mean(held)
    effect, observations = effect_after(season, x, first)
    value = point.value / np.exp(effect) if is_positive else point.value - effect
    return Adjusted(float(value), "multiplicative" if is_positive else "additive", effect, observations)


def effect_after(season: Season, x: Floats, first: int) -> tuple[float, int]:
    """The effect on the cell half a cycle after the end of `x`, which has a number (or NaN) for each cell of its
    window from `first` on; and how many deviations it was taken from."""
    half = season.cycle // 2
    around = sliding_window_view(x, season.cycle)  # the first is that of cell `half`
    deviation = np.full(len(x), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of windows and seasons without a number
        known = (~np.isnan(around)).sum(axis=1) >= 0.75 * season.cycle
        whole = slice(half, half + len(known))
        deviation[whole] = x[whole] - np.where(known, np.nanmean(around, axis=1), np.nan)
        if not season.is_shared:
            return _part(season, deviation)
        cells = first + np.arange(len(x))
        hour = _shared(deviation, cells % 24)
        day = _shared(deviation, cells // 24 % 7)
        found = [_part(season, part) for part in (hour, day, deviation - hour - day)]
    return sum(effect for effect, _ in found), found[0][1]


def _shared(deviation: Floats, group: npt.NDArray[np.int64]) -> Floats:
    """For each cell of the window the mean of the last 168 cells of its group, itself among them."""
    mean = np.full(len(deviation), np.nan)
    for cell in np.flatnonzero(~np.isnan(deviation)):
        last = slice(max(cell - 167, 0), cell + 1)
        mean[cell] = np.nanmean(deviation[last][group[last] == group[cell]])
    return mean


def _part(season: Season, deviation: Floats) -> tuple[float, int]:
    asked = np.arange(season.reach - season.cycle + 1, season.reach + 1)
    seen = deviation[asked[:, None] - np.array(season.lags)]
    counts = (~np.isnan(seen)).sum(axis=1)
    means, errors = np.nanmean(seen, axis=1), np.nanvar(seen, axis=1, ddof=1) / counts
    known = counts >= 3
    if not known[-1] or known.sum() < 0.75 * season.cycle:
        return 0, 0
    spread = np.var(means[known])
    strength = 0 if spread == 0 else max(0, 1 - season.caution * np.mean(errors[known]) / spread)
    return float(strength * (means[-1] - np.mean(means[known]))), int(counts[-1])
