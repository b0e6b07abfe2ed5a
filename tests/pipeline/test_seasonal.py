"""Seasonally adjusted twins: which versions they have, what those say of themselves, and what changes them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from .seasonal_reference import Version
from .seasonal_store import SeasonalStore

FEATURE = "test/f"
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[SeasonalStore]:
    store = SeasonalStore(dsn, tmp_path)
    yield store
    store.conn.close()


def hourly(weeks: float, stored: datetime | None = None) -> list[Version]:
    """100 every hour, and 200 on Mondays at noon, available two seconds after the hour; stored at the end."""
    hours = int(weeks * 168)
    return [
        Version(
            START + hour * HOUR,
            200.0 if hour % 168 == 12 else 100.0,
            START + (hour + 1) * HOUR + timedelta(seconds=2),
            stored or START + weeks * WEEK + timedelta(seconds=2),
        )
        for hour in range(hours)
    ]


# A week of the series above has the mean logarithm of 100 * 2 ** (1 / 168).
LEVEL = 100 * 2 ** (1 / 168)


def test_a_known_season_goes_and_the_level_of_the_cycle_stays(store: SeasonalStore) -> None:
    store.add(FEATURE, "hour-of-week")
    store.append(FEATURE, hourly(11))
    store.build()
    adjusted = [twin.value for twin in store.twins(FEATURE).values()]
    # The window begins ten and a half weeks back: from there on it holds whole weeks only.
    assert adjusted[10 * 168 + 84 :] == pytest.approx([LEVEL] * 84, rel=1e-12)
    assert adjusted[5 * 168 :] == pytest.approx([LEVEL] * 6 * 168, rel=0.05)


def test_with_too_little_history_nothing_is_adjusted_and_nothing_is_missing(store: SeasonalStore) -> None:
    store.add(FEATURE, "hour-of-week")
    store.append(FEATURE, hourly(2.5))
    assert store.build() == 420
    for (ts, _), twin in store.twins(FEATURE).items():
        assert twin.value == (200 if ts.weekday() == 0 and ts.hour == 12 else 100)
        assert twin.meta["finding"] == "too little history"
        assert (twin.meta["factor"], twin.meta["observations"]) == (1, 0)


def test_a_version_says_how_it_was_adjusted(store: SeasonalStore) -> None:
    store.add(FEATURE, "hour-of-week")
    store.append(FEATURE, hourly(5.5))
    store.build()
    noon = START + 5 * WEEK + 12 * HOUR
    [twin] = [twin for (ts, _), twin in store.twins(FEATURE).items() if ts == noon]
    assert twin.meta.pop("factor") == pytest.approx(200 / LEVEL, rel=0.02)
    assert twin.meta == {
        "inputs": [FEATURE],
        "season": "hour-of-week",
        "window": "8 weeks",
        "method": "multiplicative",
        "observations": 4,  # of the five Mondays before, the first has no half week before it
        "finding": "season",
    }
    assert twin.evidence == [
        {
            "feature": FEATURE,
            "version": 1,
            "ts": "2024-02-05T12:00:00+00:00",
            "available_at": "2024-02-05T13:00:02+00:00",
        }
    ]


def test_each_version_of_the_input_that_is_not_provisional_has_one(store: SeasonalStore) -> None:
    at = START + timedelta(days=30)
    versions = [
        Version(START, 5.0, START + HOUR, at, is_provisional=True),
        Version(START, 6.0, START + 2 * HOUR, at),
        Version(START, None, START + 3 * HOUR, at),
        Version(START, 6.0, START + 4 * HOUR, at),
        Version(START + HOUR, 7.0, START + 2 * HOUR, at),
    ]
    store.add(FEATURE, "hour-of-week")
    store.append(FEATURE, versions)
    assert store.build() == 4
    twins = store.twins(FEATURE)
    assert {key: twin.value for key, twin in twins.items()} == {
        (v.ts, v.available_at): v.value for v in versions if not v.is_provisional
    }
    assert {twin.available_basis for twin in twins.values()} == {"schedule"}
    assert twins[START, START + 3 * HOUR].meta["finding"] == "withdrawn"


def test_numbers_without_a_logarithm_are_adjusted_by_amounts(store: SeasonalStore) -> None:
    """Zeros and negatives, in the window or as the value itself."""
    store.add(FEATURE, "hour-of-week")
    flows = [
        Version(v.ts, -3.0 if v.value == 200 else 0.0, v.available_at, v.stored) for v in hourly(11, START + 12 * WEEK)
    ]
    store.append(FEATURE, flows)
    store.build()
    after = [twin for (ts, _), twin in store.twins(FEATURE).items() if ts >= START + 10.5 * WEEK]
    assert {twin.meta["method"] for twin in after} == {"additive"}
    assert [twin.value for twin in after] == pytest.approx([-3 / 168] * len(after))

    store.add("test/g", "hour-of-week")
    positive = hourly(11, START + 12 * WEEK)
    store.append("test/g", [Version(v.ts, 0.0, v.available_at, v.stored) if v is positive[-1] else v for v in positive])
    store.build()
    *before, last = store.twins("test/g").values()
    assert {twin.meta["method"] for twin in before} == {"multiplicative"}
    assert last.meta["method"] == "additive"
    assert last.value == pytest.approx(100 / 168)


def test_a_revision_re_versions_its_own_point_only(store: SeasonalStore) -> None:
    store.add(FEATURE, "hour-of-week")
    store.append(FEATURE, hourly(6))
    store.build()
    before = store.twins(FEATURE)
    ts, known = START + 3 * WEEK, START + 7 * WEEK
    store.append(FEATURE, [Version(ts, 140.0, known, known)])
    assert store.build() == 1
    after = store.twins(FEATURE)
    assert after.keys() - before.keys() == {(ts, known)}
    assert {key: after[key] for key in before} == before


def test_a_late_row_corrects_what_looks_back_at_it(store: SeasonalStore) -> None:
    store.add(FEATURE, "hour-of-week")
    complete = hourly(7)
    late = complete[3 * 168 + 12]
    store.append(FEATURE, [v for v in complete if v is not late])
    store.build()
    before = store.twins(FEATURE)
    store.append(FEATURE, [Version(late.ts, late.value, late.available_at, late.stored + HOUR)])
    appended = store.build()
    after = store.twins(FEATURE)
    changed = {ts for (ts, at), twin in after.items() if before.get((ts, at)) != twin}
    assert len(changed) == appended > 100
    # Itself; and whatever comes more than half a week, and up to ten and a half weeks, later.
    assert late.ts in changed
    assert min(changed - {late.ts}) > late.ts + 3.5 * 24 * HOUR
    assert store.refresh() == 0


def test_new_rows_end_where_a_full_build_ends(store: SeasonalStore) -> None:
    rng = np.random.default_rng(5)
    versions = [
        Version(v.ts, float(v.value or 0) * float(rng.lognormal(0, 0.3)), v.available_at, v.available_at)
        for v in hourly(6)
        if rng.random() > 0.02
    ]
    store.add(FEATURE, "hour-of-week")
    for first in range(0, len(versions), 150):
        step = versions[first : first + 150]
        store.append(FEATURE, [Version(v.ts, v.value, v.available_at, step[-1].stored) for v in step])
        assert store.build() == len(step), "a step adjusts what is new and nothing else"
    assert store.refresh() == 0


def test_a_week_finds_its_season_in_the_nearest_week_of_years_with_52_and_53(store: SeasonalStore) -> None:
    """A fee is due in the week of 15 April: numbers of Wednesdays, 2002 to 2022, some of the years with 53 of them."""
    wednesdays = [datetime(2002, 1, 2, tzinfo=UTC) + week * WEEK for week in range(21 * 52)]
    is_due = [abs(ts - ts.replace(month=4, day=15)) <= timedelta(days=3) for ts in wednesdays]
    versions = [
        Version(ts, 300.0 if due else 100.0, ts + 1.5 * timedelta(days=1), datetime(2023, 1, 1, tzinfo=UTC))
        for ts, due in zip(wednesdays, is_due, strict=True)
    ]
    store.add(FEATURE, "week-of-year")
    store.append(FEATURE, versions)
    store.build()
    factors = [twin.meta["factor"] for (ts, _), twin in store.twins(FEATURE).items() if ts.year >= 2008]
    due = [flag for ts, flag in zip(wednesdays, is_due, strict=True) if ts.year >= 2008]
    at_due = [factor for factor, flag in zip(factors, due, strict=True) if flag]
    elsewhere = [factor for factor, flag in zip(factors, due, strict=True) if not flag]
    # The week before or after is sometimes the nearest, never one further away.
    assert min(at_due) > 1.3
    assert np.median(at_due) > 2
    assert np.quantile(elsewhere, 0.95) < 1.1
