"""The default folder: invented histories at realistic levels, so that a fresh clone works without a key.

Everything about an observation (its value, its revisions, when they are published) depends on the seed, the
start and the observation alone, never on how far the folder reaches: generating again later only adds.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

from feature_store.catalog import Catalog, SeriesSpec, load_catalog
from feature_store.catalog.calendars import sessions
from feature_store.catalog.release import release_at
from feature_store.errors import ReplayError
from feature_store.replay.convert import shown, write_csv
from feature_store.replay.folder import plain

YEARS, AHEAD = 8, timedelta(days=60)
MANIFEST = "replay.json"
RESCALED_ON = date(2025, 10, 2)
BILLIONS, MILLIONS = "Billions of U.S. Dollars", "Millions of U.S. Dollars"

Entry = tuple[str, ...]
Anchors = tuple[tuple[date, float], ...]


@dataclass(frozen=True)
class Extent:
    """What one folder holds: the first and last observation date, and the seed."""

    seed: int
    start: date
    horizon: date


@dataclass(frozen=True)
class Observation:
    """One observation with its first value and the release instants of itself and the next ones."""

    at: int
    ts: datetime
    value: Decimal
    releases: tuple[datetime, ...]


def generate(folder: Path, now: datetime, seed: int = 7) -> None:
    """Write the default folder: 8 years up to `now` and 60 days ahead, which the server hides until then.

    A folder generated before is extended, and nothing that it could have served changes. ReplayError when the
    folder holds other series, or those of another seed.
    """
    extent = _extent(folder, now, seed)
    manifest = {"seed": extent.seed, "start": str(extent.start), "horizon": str(extent.horizon)}
    # Before the series: an interrupted run must be recognised as a folder that may be written again.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    catalog = load_catalog()
    for slug, make in SOURCES.items():
        for stream, series, header, entries in make(catalog, extent):
            write_csv(folder / slug / stream / f"{series}.csv", header, entries)


def _extent(folder: Path, now: datetime, seed: int) -> Extent:
    today = now.astimezone(UTC).date()
    manifest = folder / MANIFEST
    if not manifest.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise ReplayError(f"{folder} holds files but no {MANIFEST}: generate into a folder of its own")
        return Extent(seed, today - timedelta(days=365 * YEARS + 2), today + AHEAD)
    try:
        held = json.loads(manifest.read_text())
        extent = Extent(
            int(held["seed"]), date.fromisoformat(held["start"]), date.fromisoformat(held["horizon"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ReplayError(
            f"{manifest} is damaged ({error}): remove the folder and generate it anew"
        ) from error
    if extent.seed != seed:
        raise ReplayError(f"{folder} was generated with seed {extent.seed}, not {seed}: use another folder")
    return Extent(seed, extent.start, max(extent.horizon, today + AHEAD))


def fred(catalog: Catalog, extent: Extent) -> Iterator[tuple[str, str, Entry, list[Entry]]]:
    """FRED's series, with their revisions, withdrawals and the rescaling of WTREGEN."""
    specs = {spec.name: spec for spec in catalog.series("fred", "observations")}
    for name, (level, revise) in FRED.items():
        observations = _observations(specs[name], extent, level)
        entries = [entry for observation in observations for entry in revise(observation)]
        entries.sort(key=lambda entry: (entry[0], entry[2]))
        yield "observations", name, ("ts", "value", "available_at", "unit"), entries


def _observations(spec: SeriesSpec, extent: Extent, level: "Level") -> Iterator[Observation]:
    # A few sessions past the horizon, so that the last observations have the same later releases as always.
    days = [
        session.date for session in sessions(spec.calendar, extent.start, extent.horizon + timedelta(days=40))
    ]
    instants = [datetime.combine(day, time.min, UTC) for day in days]
    releases = release_at(spec, instants)
    drift = 0.0
    for at, (day, ts) in enumerate(zip(days, instants, strict=True)):
        if day > extent.horizon:
            return
        random = Random(f"{extent.seed}:{spec.name}:{day}")  # noqa: S311 - invented numbers, no secrets
        drift = level.memory * drift + random.gauss(0, level.noise)
        value = max(level.floor, _interpolated(level.anchors, day) * (1 + drift))
        yield Observation(at, ts, Decimal(f"{value:.{level.decimals}f}"), tuple(releases[at : at + 21]))


@dataclass(frozen=True)
class Level:
    """How a series runs: around its anchors, with noise that fades by `memory` per observation."""

    anchors: Anchors
    noise: float
    memory: float
    decimals: int
    floor: float = 0.0


def _interpolated(anchors: Anchors, day: date) -> float:
    if day <= anchors[0][0]:
        return anchors[0][1]
    for (left, low), (right, high) in pairwise(anchors):
        if day <= right:
            return low + (high - low) * ((day - left) / (right - left))
    return anchors[-1][1]


def _entry(observation: Observation, value: Decimal | None, at: datetime, unit: str = "") -> Entry:
    return shown(observation.ts), "" if value is None else plain(value), f"{at:%Y-%m-%dT%H:%M:%SZ}", unit


def _weekly(observation: Observation) -> Iterator[tuple[datetime, Decimal | None]]:
    """The life of a weekly value: most stand, some are revised, a few go back, a few vanish for a while."""
    value, releases = observation.value, observation.releases
    yield releases[0], value
    if observation.at % 89 == 31:
        yield releases[1], _nudged(value)
        yield releases[2], value
    elif observation.at % 137 == 52:
        yield releases[1], None
        yield releases[3], value
    elif observation.at % 23 == 9:
        yield releases[1], _nudged(value)


def _nudged(value: Decimal) -> Decimal:
    return (value * Decimal("1.0004")).quantize(Decimal(1)) + 1


def _walcl(observation: Observation) -> Iterator[Entry]:
    yield from (_entry(observation, value, at, MILLIONS) for at, value in _weekly(observation))


def _wtregen(observation: Observation) -> Iterator[Entry]:
    """Stated in billions until the rescaling, when the whole history was stated anew in millions."""
    rescaled_at = datetime.combine(RESCALED_ON, time(20, 30), UTC)  # 16:30 in New York
    life = dict(_weekly(observation))
    before = [at for at in life if at < rescaled_at]
    if before:
        life.setdefault(rescaled_at, life[before[-1]])
    for at, value in life.items():
        if at >= rescaled_at:
            yield _entry(observation, value, at, MILLIONS)
        else:
            yield _entry(observation, value and (value / 1000).quantize(Decimal("0.01")), at, BILLIONS)


def _daily(observation: Observation) -> Iterator[Entry]:
    yield _entry(observation, observation.value, observation.releases[0])


def _rarely_revised(observation: Observation) -> Iterator[Entry]:
    """Published in weekly batches; once in a while the next batch corrects a value."""
    yield _entry(observation, observation.value, observation.releases[0])
    if observation.at % 311 == 120:
        later = next(at for at in observation.releases if at > observation.releases[0])
        yield _entry(observation, (observation.value * Decimal("0.991")).quantize(observation.value), later)


def _anchors(*points: tuple[str, float]) -> Anchors:
    return tuple((date.fromisoformat(day), value) for day, value in points)


FRED: dict[str, tuple[Level, Callable[[Observation], Iterator[Entry]]]] = {
    "WALCL": (
        Level(
            _anchors(
                ("2014-12-31", 4.5e6),
                ("2018-01-03", 4.44e6),
                ("2019-09-04", 3.76e6),
                ("2020-02-26", 4.16e6),
                ("2020-06-10", 7.17e6),
                ("2022-04-13", 8.96e6),
                ("2024-12-31", 6.85e6),
                ("2025-12-31", 6.6e6),
                ("2027-12-31", 6.7e6),
            ),
            noise=0.0012,
            memory=0.7,
            decimals=0,
        ),
        _walcl,
    ),
    "WTREGEN": (
        Level(
            _anchors(
                ("2018-01-03", 2.2e5),
                ("2020-03-18", 3.8e5),
                ("2020-07-22", 1.79e6),
                ("2021-02-03", 1.61e6),
                ("2021-12-15", 8e4),
                ("2022-05-04", 9.4e5),
                ("2023-06-07", 6e4),
                ("2024-01-03", 7.3e5),
                ("2025-07-30", 3.7e5),
                ("2027-12-31", 8.5e5),
            ),
            noise=0.05,
            memory=0.75,
            decimals=0,
            floor=2.3e4,
        ),
        _wtregen,
    ),
    "RRPONTSYD": (
        Level(
            _anchors(
                ("2017-12-29", 90.0),
                ("2018-06-29", 6.0),
                ("2021-03-17", 0.6),
                ("2021-06-17", 756.0),
                ("2022-09-30", 2350.0),
                ("2023-05-31", 2255.0),
                ("2024-04-15", 330.0),
                ("2025-12-31", 6.0),
                ("2027-12-31", 3.0),
            ),
            noise=0.03,
            memory=0.6,
            decimals=3,
        ),
        _daily,
    ),
    "SP500": (
        Level(
            _anchors(
                ("2014-12-31", 2060.0),
                ("2018-12-31", 2600.0),
                ("2020-02-19", 3380.0),
                ("2020-03-23", 2300.0),
                ("2021-12-31", 4760.0),
                ("2022-10-12", 3600.0),
                ("2025-12-31", 6850.0),
                ("2030-12-31", 8500.0),
            ),
            noise=0.008,
            memory=0.97,
            decimals=2,
        ),
        _daily,
    ),
    "VIXCLS": (
        Level(
            _anchors(
                ("2018-01-02", 11.0),
                ("2020-02-14", 14.0),
                ("2020-03-18", 70.0),
                ("2020-06-30", 29.0),
                ("2022-06-30", 27.0),
                ("2024-06-28", 13.0),
                ("2026-12-31", 17.0),
            ),
            noise=0.06,
            memory=0.88,
            decimals=2,
            floor=9.0,
        ),
        _daily,
    ),
    "DTWEXBGS": (
        Level(
            _anchors(
                ("2018-01-02", 111.0),
                ("2020-03-20", 126.0),
                ("2021-06-01", 111.5),
                ("2022-10-14", 128.0),
                ("2025-01-13", 129.5),
                ("2026-12-31", 119.5),
            ),
            noise=0.003,
            memory=0.95,
            decimals=4,
        ),
        _rarely_revised,
    ),
}

SOURCES: dict[str, Callable[[Catalog, Extent], Iterator[tuple[str, str, Entry, list[Entry]]]]] = {
    "fred": fred
}
"""Slug → its generator of (stream, series, header, rows)."""
