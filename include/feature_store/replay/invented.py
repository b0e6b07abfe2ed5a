"""What invented histories have in common: how far they reach, how a level runs, when values are released."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

from feature_store.catalog import SeriesSpec
from feature_store.catalog.calendars import sessions
from feature_store.catalog.release import release_at
from feature_store.replay.convert import shown
from feature_store.replay.folder import plain

Entry = tuple[str, ...]
Anchors = tuple[tuple[date, float], ...]
Invented = tuple[str, str, Entry, Iterable[Entry]]
"""Stream, series, header and rows."""


@dataclass(frozen=True)
class Extent:
    """What one folder holds: the seed, and the first and last date of daily series and of minutes."""

    seed: int
    start: date
    horizon: date
    minutes_start: date
    minutes_horizon: date


@dataclass(frozen=True)
class Observation:
    """One observation with its first value and the release instants of itself and the next ones."""

    at: int
    ts: datetime
    value: Decimal
    releases: tuple[datetime, ...]


@dataclass(frozen=True)
class Level:
    """How a series runs: around its anchors, with noise that fades by `memory` per observation."""

    anchors: Anchors
    noise: float
    memory: float
    decimals: int
    floor: float = 0.0


def observations(spec: SeriesSpec, extent: Extent, level: Level) -> Iterator[Observation]:
    """The observations of one series, each drawn from the seed and its own date."""
    # A few sessions past the horizon, so that the last observations have the same later releases as always.
    days = [session.date for session in sessions(spec.calendar, extent.start, extent.horizon + timedelta(days=40))]
    instants = [datetime.combine(day, time.min, UTC) for day in days]
    releases = release_at(spec, instants)
    drift = 0.0
    for at, (day, ts) in enumerate(zip(days, instants, strict=True)):
        if day > extent.horizon:
            return
        random = Random(f"{extent.seed}:{spec.name}:{day}")  # noqa: S311 - invented numbers, no secrets
        drift = level.memory * drift + random.gauss(0, level.noise)
        value = max(level.floor, interpolated(level.anchors, day) * (1 + drift))
        yield Observation(at, ts, Decimal(f"{value:.{level.decimals}f}"), tuple(releases[at : at + 21]))


def entry(observation: Observation, value: Decimal | None, at: datetime, unit: str = "") -> Entry:
    """One row of the folder's file."""
    return shown(observation.ts), "" if value is None else plain(value), f"{at:%Y-%m-%dT%H:%M:%SZ}", unit


def anchors(*points: tuple[str, float]) -> Anchors:
    """Dates as text, for short tables."""
    return tuple((date.fromisoformat(day), value) for day, value in points)


def interpolated(anchors: Anchors, day: date) -> float:
    """The level of a day between two anchors; before the first and after the last it stands still."""
    if day <= anchors[0][0]:
        return anchors[0][1]
    for (left, low), (right, high) in pairwise(anchors):
        if day <= right:
            return low + (high - low) * ((day - left) / (right - left))
    return anchors[-1][1]
