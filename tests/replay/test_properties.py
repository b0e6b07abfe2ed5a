"""Properties over real HTTP: the future stays hidden, vintages rebuild the file, chunks add up."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.replay.archive import central_date

from .server import Fred, Wall, write

START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = count()
Life = dict[tuple[date, datetime], str]

# Few dates, instants and values, so that same-day changes, repetitions and withdrawals are common.
observed = st.integers(0, 5).map(lambda n: (START + timedelta(days=n)).date())
available = st.integers(0, 40).map(lambda n: START + timedelta(days=7, hours=9 * n))
values = st.sampled_from(["", "1", "2", "2.5"])
lives = st.dictionaries(st.tuples(observed, available), values, min_size=1, max_size=30)
instants = st.integers(7 * 24, 25 * 24).map(lambda hours: START + timedelta(hours=hours))
overhttp = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def serve(folder: Path, life: Life) -> str:
    name = f"P{next(NAMES)}"
    lines = [f"{ts},{value},{at.isoformat()}" for (ts, at), value in life.items()]
    write(folder, name, "\n".join(["ts,value,available_at", *lines]))
    return name


def state(life: Life, day: date, now: datetime) -> dict[date, str]:
    """What the file says was known at the end of a day in St. Louis, or now if that is earlier."""
    known = {
        ts: value for (ts, at), value in sorted(life.items(), key=lambda item: item[0][1])
        if central_date(at) <= day and at <= now
    }  # fmt: skip
    return {ts: value or "." for ts, value in known.items()}


@overhttp
@given(life=lives, now=instants)
def test_no_row_is_from_later_than_now(fred: Fred, folder: Path, wall: Wall, life: Life, now: datetime) -> None:
    wall.now = now
    name = serve(folder, life)
    visible = [at for _, at in life if at <= now]
    if not visible:
        assert fred.refusal("series", name).endswith("The series does not exist.")
        return
    assert max(fred.vintages(name)) <= str(central_date(max(visible)))
    wall.now = START + timedelta(days=60)
    whole = fred.all_rows(name)
    wall.now = now
    part = fred.all_rows(name)
    earlier = {row[:2] for row in part if row[1] < str(central_date(now))}
    assert earlier == {row[:2] for row in whole if row[1] < str(central_date(now))}


@overhttp
@given(life=lives, now=instants)
def test_unclipped_vintages_rebuild_the_file(fred: Fred, folder: Path, wall: Wall, life: Life, now: datetime) -> None:
    wall.now = now
    name = serve(folder, life)
    if not state(life, central_date(now), now):
        return
    rows = fred.all_rows(name)
    for day in fred.vintages(name):
        served = {ts: value for ts, start, end, value in rows if start <= day <= end}
        wanted = state(life, date.fromisoformat(day), now)
        assert served == {str(ts): value for ts, value in wanted.items()}
        assert served == {ts: value for ts, _, _, value in fred.rows(name, vintage_dates=day)}


@overhttp
@given(life=lives, size=st.integers(1, 4))
def test_chunks_that_overlap_by_one_add_up_to_the_whole(
    fred: Fred, folder: Path, wall: Wall, life: Life, size: int
) -> None:
    wall.now = START + timedelta(days=60)
    name = serve(folder, life)
    whole = {(ts, start, value) for ts, start, _, value in fred.all_rows(name)}
    vintages = fred.vintages(name)
    together: set[tuple[str, str, str]] = set()
    for at in range(0, len(vintages), size):
        chunk = vintages[max(at - 1, 0) : at + size]
        rows = fred.rows(name, realtime_start=chunk[0], realtime_end=chunk[-1])
        # A row that starts where the request does is a continuation, except in the first chunk.
        together |= {(ts, start, value) for ts, start, _, value in rows if start > chunk[0] or at == 0}
    assert together == whole
