"""Invented histories of FRED's series, with revisions, withdrawals and the rescaling of WTREGEN."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

from feature_store.catalog import Catalog
from feature_store.replay.invented import (
    Entry,
    Extent,
    Invented,
    Level,
    Observation,
    anchors,
    entry,
    observations,
)

RESCALED_ON = date(2025, 10, 2)
BILLIONS, MILLIONS = "Billions of U.S. Dollars", "Millions of U.S. Dollars"
HEADER = ("ts", "value", "available_at", "unit")


def fred(catalog: Catalog, extent: Extent) -> Iterator[Invented]:
    """FRED's observations."""
    specs = {spec.name: spec for spec in catalog.series("fred", "observations")}
    for name, (level, life) in FRED.items():
        rows = [row for observation in observations(specs[name], extent, level) for row in life(observation)]
        rows.sort(key=lambda row: (row[0], row[2]))
        yield "observations", name, HEADER, rows


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
    yield from (entry(observation, value, at, MILLIONS) for at, value in _weekly(observation))


def _wtregen(observation: Observation) -> Iterator[Entry]:
    """Stated in billions until the rescaling, when the whole history was stated anew in millions."""
    rescaled_at = datetime.combine(RESCALED_ON, time(20, 30), UTC)  # 16:30 in New York
    life = dict(_weekly(observation))
    before = [at for at in life if at < rescaled_at]
    if before:
        life.setdefault(rescaled_at, life[before[-1]])
    for at, value in life.items():
        if at >= rescaled_at:
            yield entry(observation, value, at, MILLIONS)
        else:
            yield entry(observation, value and (value / 1000).quantize(Decimal("0.01")), at, BILLIONS)


def _daily(observation: Observation) -> Iterator[Entry]:
    yield entry(observation, observation.value, observation.releases[0])


def _rarely_revised(observation: Observation) -> Iterator[Entry]:
    """Published in weekly batches; once in a while the next batch corrects a value."""
    yield entry(observation, observation.value, observation.releases[0])
    if observation.at % 311 == 120:
        later = next(at for at in observation.releases if at > observation.releases[0])
        yield entry(observation, (observation.value * Decimal("0.991")).quantize(observation.value), later)


FRED: dict[str, tuple[Level, Callable[[Observation], Iterator[Entry]]]] = {
    "WALCL": (
        Level(
            anchors(
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
            anchors(
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
            anchors(
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
            anchors(
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
            anchors(
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
            anchors(
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
"""Series → its level, and what becomes of an observation."""
