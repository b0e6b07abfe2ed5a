"""Random histories, many drawn into one build, against the time rules in plain Python."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import database

from .conftest import NAME
from .store import WALCL, open_store, shipped, with_features

ST_LOUIS, NEW_YORK = ZoneInfo("America/Chicago"), ZoneInfo("America/New_York")
FIRST = datetime(2024, 2, 28, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
END = FIRST + 8 * WEEK
SERIES = 25
# No Thursday in March or April 2024 is a federal holiday, so releases are on Thursdays at 16:30 in New York.


@dataclass(frozen=True)
class Reading:
    """FRED shows `value` (None: ".") for the observation of week `week` from `at` on."""

    week: int
    at: datetime
    value: int | None

    @property
    def ts(self) -> datetime:
        return FIRST + self.week * WEEK


def scheduled(day: datetime) -> datetime:
    """The instant a release on that St. Louis date has: 16:30 in New York on Thursdays, else the end of the day."""
    date = day.astimezone(ST_LOUIS).date()
    if date.weekday() == 3:
        return datetime(date.year, date.month, date.day, 16, 30, tzinfo=NEW_YORK).astimezone(UTC)
    midnight = datetime(date.year, date.month, date.day, tzinfo=ST_LOUIS) + DAY
    return midnight.astimezone(UTC)


def versions(history: list[Reading]) -> list[tuple[datetime, float | None, datetime, str]]:
    """What features_versions must hold of a history: (ts, value, available_at, basis)."""
    by_vintage: dict[tuple[datetime, datetime], int | None] = {}
    for reading in sorted(history, key=lambda r: r.at):
        by_vintage[reading.ts, scheduled(reading.at)] = reading.value
    archive_begins = min(at for _, at in by_vintage)
    rows = []
    for ts in sorted({ts for ts, _ in by_vintage}):
        held: int | None = None
        for at in sorted(at for t, at in by_vintage if t == ts):
            value = by_vintage[ts, at]
            if value == held:
                continue
            held = value
            release = scheduled(ts + DAY + timedelta(hours=12))
            is_older = at == archive_begins and release < at
            rows.append(
                (
                    ts,
                    None if value is None else value * 1e6,
                    release if is_older else at,
                    "backfilled" if is_older else "vintage",
                )
            )
    return rows


@st.composite
def histories(draw: st.DrawFn) -> list[Reading]:
    """A history in which each observation appears, changes, vanishes and comes back on random days."""
    found: list[Reading] = []
    for week in sorted(draw(st.sets(st.integers(0, 5), min_size=1))):
        days = draw(st.lists(st.integers(1, 8 * 7 - week * 7 - 2), min_size=1, max_size=4, unique=True))
        for number, day in enumerate(sorted(days)):
            at = FIRST + week * WEEK + day * DAY + timedelta(hours=draw(st.sampled_from([15, 20.5, 23])))
            value = draw(st.integers(1, 4)) if number == 0 else draw(st.sampled_from([None, 1, 2, 3, 4]))
            found.append(Reading(week, at, value))
    return found


def is_known(history: list[Reading], instant: datetime) -> bool:
    """Whether FRED shows the series at an instant, in vintages that are settled by then."""
    first = min(reading.at for reading in history)
    return max(first, scheduled(first)) <= instant


def served(history: list[Reading]) -> str:
    rows = [f"{r.ts:%Y-%m-%d},{'' if r.value is None else r.value},{r.at:%Y-%m-%dT%H:%M:%SZ}" for r in history]
    return "ts,value,available_at\n" + "\n".join(rows) + "\n"


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    drawn=st.lists(histories(), min_size=SERIES, max_size=SERIES),
    stops=st.lists(st.integers(14 * 24, 55 * 24), max_size=2),
    asked=st.lists(st.integers(0, 56 * 24), min_size=3, max_size=3),
)
def test_random_histories_are_told_truly(
    server: str,
    stocked: str,
    tmp_path_factory: object,
    drawn: list[list[Reading]],
    stops: list[int],
    asked: list[int],
) -> None:
    home: Path = tmp_path_factory.mktemp("histories")  # type: ignore[attr-defined]
    like = shipped().feature(WALCL)
    catalog = with_features(like.model_copy(update={"id": f"test/f{n}", "series": f"S{n}"}) for n in range(SERIES))
    with database(server, NAME, stocked) as dsn, open_store(dsn, home, catalog) as store:
        for n, history in enumerate(drawn):
            store.serve(f"S{n}", served(history))
        # The walk may stop before some series exist at all, so each stop asks only for those that do.
        for instant in [*(FIRST + timedelta(hours=h) for h in sorted(stops)), END]:
            store.at(instant)
            names = [f"S{n}" for n, history in enumerate(drawn) if is_known(history, instant)]
            if names:
                store.ingest(*names)
                store.transform()

        for n, history in enumerate(drawn):
            rows = store.conn.execute(
                """select ts, value, available_at, available_basis from features.features_versions
                   where feature_id = %s order by ts, available_at""",
                (f"test/f{n}",),
            ).fetchall()
            assert rows == versions(history)
            for hours in asked:
                instant = FIRST + timedelta(hours=hours)
                assert store.as_of(instant.isoformat(), f"test/f{n}") == known(history, instant)
        assert store.run() == 0


def known(history: list[Reading], instant: datetime) -> dict[str, float]:
    """The newest known value of each observation, withdrawn ones left out."""
    state = {f"{ts:%Y-%m-%d}": value for ts, value, at, _ in versions(history) if at <= instant}
    return {ts: value for ts, value in state.items() if value is not None}


def test_the_reference_itself_is_ordered() -> None:
    at = FIRST + DAY + timedelta(hours=20)
    rows = versions([Reading(0, at, 1), Reading(0, at + WEEK, 2), Reading(0, at + 2 * WEEK, None)])
    assert all(earlier[2] < later[2] for earlier, later in pairwise(rows))
    assert [value for _, value, *_ in rows] == [1e6, 2e6, None]
