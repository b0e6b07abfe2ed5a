"""Random histories, many in one build, against seasonal adjustment in plain Python and against time itself."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import database

from .conftest import NAME
from .seasonal_reference import SEASONS, Adjusted, Season, Version, adjust, corrected
from .seasonal_store import SeasonalStore

END = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Kind:
    """How often a series has a point, for how long, and what it is adjusted for."""

    season: str
    step: timedelta
    points: int
    grain: str = "daily"

    @property
    def start(self) -> datetime:
        return END - self.points * self.step


KINDS = [
    Kind("hour-of-week", 60 * MINUTE, 6 * 168),
    Kind("hour-of-week", 60 * MINUTE, 10 * 168, "intraday"),
    Kind("hour-of-week", 20 * MINUTE, 4 * 504 + 200),
    Kind("week-of-year", timedelta(weeks=1), 8 * 52),
    Kind("week-of-year", timedelta(days=1), 5 * 365),
]


@dataclass(frozen=True)
class Drawn:
    """What befalls a series: places and spans as shares of its length."""

    kind: Kind
    seed: int
    gaps: list[tuple[float, float]]
    revisions: list[tuple[float, float, float | None]]
    """Which point, how much later, and the new value; None withdraws."""
    late: list[float]
    """Points that this store learns only at the end."""
    reissue: float | None
    """When everything known is told again, a thousandth higher."""
    provisional: list[float]
    is_signed: bool

    def history(self, stops: list[float]) -> list[Version]:
        """Its versions, each stored in the first stage that ends after it was available (a stop is a share of time)."""
        rng = np.random.default_rng(self.seed)
        kind, n = self.kind, self.kind.points
        values = rng.lognormal(0.5 * np.sin(np.arange(n) * (2 * np.pi / 52)), 0.3)
        if self.is_signed:
            values -= 0.5
        gone = {int(at * n) + i for at, length in self.gaps for i in range(int(length * n) + 1)}
        told = [
            Version(kind.start + i * kind.step, float(values[i]), kind.start + (i + 1) * kind.step, END)
            for i in range(n)
            if i not in gone
        ]
        base = list(told)
        for at, delay, value in self.revisions:
            point = base[int(at * len(base))]
            known = min(point.available_at + delay * n * kind.step, END)
            told.append(replace(point, value=value, available_at=known))
        if self.reissue is not None:
            known = kind.start + self.reissue * n * kind.step
            told += [
                replace(v, value=1.001 * (v.value or 0), available_at=known) for v in base if v.available_at < known
            ]
        told += [
            replace(base[int(at * len(base))], available_at=base[int(at * len(base))].ts + MINUTE, is_provisional=True)
            for at in self.provisional
        ]
        late = {base[int(at * len(base))].ts for at in self.late}
        unique = {(v.ts, v.available_at): v for v in told}
        return [
            replace(v, stored=stored(len(stops)) if v.ts in late else stored(bisect_left(stops, self._share(v))))
            for v in unique.values()
        ]

    def _share(self, version: Version) -> float:
        return (version.available_at - self.kind.start) / (END - self.kind.start)


def stored(stage: int) -> datetime:
    """When the rows of a stage are stored: after all time, since the clock is one for all series."""
    return END + (stage + 1) * MINUTE


share = st.floats(0, 0.999)


def drawn(kind: Kind) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        kind=st.just(kind),
        seed=st.integers(0, 2**32),
        gaps=st.lists(st.tuples(share, st.floats(0, 0.05)), max_size=3),
        revisions=st.lists(
            st.tuples(share, st.floats(0.001, 0.6), st.sampled_from([None, 0.7, 2.0, 0.0, -1.0])), max_size=4
        ),
        late=st.lists(share, max_size=2),
        reissue=st.none() | st.floats(0.3, 0.95),
        provisional=st.lists(share, max_size=3),
        is_signed=st.booleans(),
    )


@settings(
    max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(
    series=st.tuples(*(drawn(kind) for kind in KINDS)),
    lived=st.lists(st.floats(0.3, 0.999), max_size=3, unique=True),
    until=st.floats(0.5, 0.999),
)
def test_random_histories_are_adjusted_as_the_method_says_in_steps_at_once_and_up_to_any_instant(
    server: str,
    stocked: str,
    tmp_path_factory: pytest.TempPathFactory,
    series: tuple[Drawn, ...],
    lived: list[float],
    until: float,
) -> None:
    kinds = [one.kind for one in series]
    histories = [one.history(sorted(lived)) for one in series]
    with database(server, NAME, stocked) as dsn:
        store = _store(dsn, tmp_path_factory.mktemp("lived"), kinds)
        for stage in range(len(lived) + 1):
            for number, (kind, history) in enumerate(zip(kinds, histories, strict=True)):
                store.append(f"test/f{number}", [v for v in history if v.stored == stored(stage)], kind.grain)
            store.build()
        twins = [store.twins(f"test/f{number}") for number in range(len(kinds))]
        for kind, history, held in zip(kinds, histories, twins, strict=True):
            by_stage = [corrected([v for v in history if v.stored <= stored(n)]) for n in range(len(lived) + 1)]
            keys = [key for key, version in by_stage[-1].items() if not version.is_provisional]
            assert held.keys() == set(keys)
            for key in Random(7).sample(keys, 30) + keys[-10:]:
                expected, found = written(SEASONS[kind.season], by_stage, key), held[key]
                assert found.value == expected.value or found.value == pytest.approx(expected.value, 1e-9, 1e-9)
                assert found.meta.get("method") == expected.method
                assert found.meta.get("observations", 0) == expected.observations
        assert store.refresh() == 0, "a full build ends where the steps ended, to the bit"
        store.conn.close()

    with database(server, NAME, stocked) as dsn:
        store = _store(dsn, tmp_path_factory.mktemp("prefix"), kinds)
        ends = [kind.start + until * (END - kind.start) for kind in kinds]
        for number, (kind, history, end) in enumerate(zip(kinds, histories, ends, strict=True)):
            known = [replace(v, stored=END) for v in history if v.available_at <= end]
            store.append(f"test/f{number}", known, kind.grain)
        store.build()
        for number, end in enumerate(ends):
            then = {key: twin.value for key, twin in store.twins(f"test/f{number}").items()}
            assert then == {key: twin.value for key, twin in twins[number].items() if key[1] <= end}
        store.conn.close()


def written(
    season: Season, by_stage: Sequence[dict[tuple[datetime, datetime], Version]], key: tuple[datetime, datetime]
) -> Adjusted:
    """The version of the twin as it was written: what would say the same number again is not written again, so its
    meta says what was found then. Only where there was nothing to take out can the number stay when more is known.
    """
    expected = adjust(season, by_stage[-1], key)
    for told in reversed(by_stage[:-1]):
        earlier = adjust(season, told, key) if key in told and expected.effect == 0 else None
        if earlier is None or earlier.value != expected.value:
            break
        expected = earlier
    return expected


def _store(dsn: str, home: Path, kinds: list[Kind]) -> SeasonalStore:
    store = SeasonalStore(dsn, home)
    for number, kind in enumerate(kinds):
        store.add(f"test/f{number}", kind.season, kind.grain)
    return store
