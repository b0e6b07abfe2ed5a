"""Prefix invariance, and the versions of derived features against plain Python: many random histories in one build.

Each history is told twice: by features of all its rows, and by features of those rows alone that were available by an
instant T. Up to T both must say the same, layer by layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from feature_store.catalog.contracts import FeatureSpec
from tests.conftest import database

from .conftest import NAME
from .store import WALCL, Store, open_store, shipped, with_features

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LAST = FIRST + 60 * DAY
OLDEST = 3 * DAY
HISTORIES = 25
SLOTS = {"a": ("instant", None), "b": ("end", "P7D"), "c": ("start", "P1D")}
"""Three inputs whose periods end differently: at ts, at ts, a day after it."""


@dataclass(frozen=True, order=True)
class Told:
    """One version of an input: the source says `value` (None: taken back) of day `day` from hour `at` on."""

    slot: str
    day: int
    at: int
    value: int | None
    is_late: bool

    @property
    def ts(self) -> datetime:
        return FIRST + self.day * DAY

    @property
    def valid_at(self) -> datetime:
        return self.ts + (DAY if self.slot == "c" else timedelta(0))

    @property
    def available_at(self) -> datetime:
        return FIRST + self.at * HOUR


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Random days of the three inputs, each told, revised, taken back at random hours; some rows are loaded late."""
    told: dict[tuple[str, int, int], Told] = {}
    for slot in SLOTS:
        for day in draw(st.sets(st.integers(0, 11), min_size=1, max_size=8)):
            hours = draw(st.lists(st.integers(day * 24, day * 24 + 120), min_size=1, max_size=3, unique=True))
            for number, hour in enumerate(sorted(hours)):
                value = draw(st.integers(1, 9) if number == 0 else st.sampled_from([None, 1, 2, 3]))
                told[slot, day, hour] = Told(slot, day, hour, value, draw(st.booleans()))
    return sorted(told.values())


def as_of(history: list[Told], slot: str, day_end: datetime, known_at: datetime) -> tuple[datetime, int] | None:
    """The newest value of an input that is known and no older than OLDEST, with the end of its period."""
    newest: dict[datetime, Told] = {}
    for told in sorted(history, key=lambda t: t.at):
        if told.slot == slot and told.available_at <= known_at and day_end - OLDEST <= told.valid_at <= day_end:
            newest[told.valid_at] = told
    return max(((at, told.value) for at, told in newest.items() if told.value is not None), default=None)


def net(history: list[Told], instant: datetime, known_at: datetime) -> tuple[tuple[object, ...], int] | None:
    """What counts, and a - b - c, of an instant as of a moment."""
    found = [as_of(history, slot, instant, known_at) for slot in SLOTS]
    counting = [value for value in found if value is not None]
    if len(counting) < len(SLOTS) or all(at != instant for at, _ in counting):
        return None
    first, *others = [value for _, value in counting]
    newest = tuple(
        max(t.at for t in history if (t.slot, t.valid_at) == (slot, at) and t.available_at <= known_at)
        for slot, (at, _) in zip(SLOTS, counting, strict=True)
    )
    return (*counting, newest), first - sum(others)


def derived(history: list[Told]) -> Iterator[tuple[datetime, float | None, datetime]]:
    """Every version of a - b - c: (ts, value, available_at)."""
    for instant in sorted({told.valid_at for told in history}):
        before = None
        for known_at in sorted({told.available_at for told in history}):
            now = net(history, instant, known_at)
            if now != before and (now is None or before is None or now[0] != before[0]):
                yield instant, None if now is None else now[1] * 1e6, known_at
            before = now


def grown(history: list[Told]) -> Iterator[tuple[datetime, float | None, datetime]]:
    """Every version of c against the year before: (ts, value, available_at)."""
    for ts in sorted({told.ts for told in history if told.slot == "c"}):
        told_of = sorted((told for told in history if (told.slot, told.ts) == ("c", ts)), key=lambda t: t.at)
        key: tuple[int, int] | None = None
        for number, told in enumerate(told_of):
            known = [earlier for earlier in told_of[: number + 1] if earlier.value is not None]
            now = (told.at, known[-1].at) if told.value is not None else None
            if now != key:
                before = (known[-1].value or 0) + 1
                yield ts, None if told.value is None else told.value * 1e6 / (before * 1e6) - 1, told.available_at
            key = now


def features(prefix: str) -> list[FeatureSpec]:
    like, net_like = shipped().feature(WALCL), shipped().feature("macro/us/net_liquidity_usd")
    inputs = [
        like.model_copy(
            update={"id": f"test/{prefix}_{slot}", "series": f"{prefix}_{slot}", "label": label, "period": period,
                    "calendar": "24x7"}
        )
        for slot, (label, period) in SLOTS.items()
    ]  # fmt: skip
    made = net_like.model_copy(
        update={"id": f"test/{prefix}_net", "inputs": tuple(f.id for f in inputs), "max_age": "P3D", "calendar": "24x7"}
    )
    growth = shipped().feature("crypto/stables/mcap_total_usd_yoy")
    yoy = growth.model_copy(update={"id": f"test/{prefix}_yoy", "inputs": (f"test/{prefix}_c",)})
    return [*inputs, made, yoy]


def load(store: Store, prefix: str, history: list[Told], fetch_id: int) -> None:
    """The raw rows that FRED's loader would make of a history, and for c of the same days a year before, one higher."""
    rows = [
        (
            f"{prefix}_{told.slot}",
            told.ts - back,
            None if told.value is None else told.value + year,
            told.available_at,
            told.at,
        )
        for told in history
        for year, back in enumerate((timedelta(0), 365 * DAY))
        if year == 0 or (told.slot == "c" and told.value is not None)
    ]
    store.conn.cursor().executemany(
        f"""insert into raw.fred_observations
              (series, ts, value, available_at, vintage_date, unit, fetch_id, fetched_at, available_basis)
            values (%s, %s, %s, %s, date '2000-01-01' + %s, 'Millions of U.S. Dollars', {fetch_id}, '{LAST}',
                    'vintage')""",
        rows,
    )
    store.conn.commit()


def versions(store: Store, feature: str, until: datetime = LAST) -> list[tuple[datetime, float | None, datetime]]:
    """(ts, value, available_at) as last corrected, in order."""
    return store.conn.execute(
        """select distinct on (ts, available_at) ts, value, available_at from features.features_versions
           where feature_id = %s and available_at <= %s order by ts, available_at, ingested_at desc""",
        (feature, until),
    ).fetchall()


@settings(
    max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(
    drawn=st.lists(histories(), min_size=HISTORIES, max_size=HISTORIES),
    cuts=st.lists(st.integers(0, 17 * 24), min_size=HISTORIES, max_size=HISTORIES),
)
def test_what_was_available_up_to_t_decides_the_versions_up_to_t(
    server: str, stocked: str, tmp_path_factory: object, drawn: list[list[Told]], cuts: list[int]
) -> None:
    home: Path = tmp_path_factory.mktemp("prefixes")  # type: ignore[attr-defined]
    instants = [FIRST + hours * HOUR for hours in cuts]
    catalog = with_features(f for n in range(HISTORIES) for kind in ("all", "cut") for f in features(f"{kind}{n}"))
    with database(server, NAME, stocked) as dsn, open_store(dsn, home, catalog) as store:
        store.at(LAST)
        store.derives = True
        store.conn.execute(
            """insert into raw.fetches (source, stream, endpoint, url, fetched_at)
               select 'fred', 'observations', '', '', ops.now() from generate_series(1, 2)"""
        )
        for number, is_late in enumerate((False, True), start=1):
            for n, history in enumerate(drawn):
                batch = [told for told in history if told.is_late == is_late]
                load(store, f"all{n}", batch, number)
                load(store, f"cut{n}", [told for told in batch if told.available_at <= instants[n]], number)
            store.transform()

        for n, (history, instant) in enumerate(zip(drawn, instants, strict=True)):
            for name in (*SLOTS, "net", "yoy"):
                whole = versions(store, f"test/all{n}_{name}", instant)
                cut = versions(store, f"test/cut{n}_{name}", instant)
                assert state(whole) == state(cut), name
                shown = panel(store, f"test/all{n}_{name}")
                ended = {day: value for day, value in shown.items() if end_of(day) <= instant}
                assert ended == {
                    day: value for day, value in panel(store, f"test/cut{n}_{name}").items() if end_of(day) <= instant
                }
                held = versions(store, f"test/all{n}_{name}")
                for day, value in shown.items():
                    assert value == newest(held, end_of(day), DAY if name in ("c", "yoy") else timedelta(0))
            for name, reference in (("net", derived), ("yoy", grown)):
                held, expected = versions(store, f"test/all{n}_{name}"), list(reference(history))
                for known_at in sorted({told.available_at for told in history}):
                    assert known(held, known_at) == known(expected, known_at)

        lived = store.hash()
        assert store.transform("--full-refresh") == 0
        assert store.hash() == lived
        store.conn.execute("truncate features.features_versions, features.features_values, features.latest_values")
        store.conn.commit()
        store.transform("--full-refresh")
        for n, history in enumerate(drawn):
            assert versions(store, f"test/all{n}_net") == list(derived(history))
            assert versions(store, f"test/all{n}_yoy") == list(grown(history))


def panel(store: Store, feature: str) -> dict[date, float | None]:
    """The daily panel's column of a feature."""
    return dict(
        store.conn.execute(
            """select distinct on (day) day, value from features.daily_cells
               where feature_id = %s order by day, ingested_at desc""",
            (feature,),
        ).fetchall()
    )


def end_of(day: date) -> datetime:
    """The moment as of which the panel shows a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY + timedelta(minutes=1)


def newest(rows: list[tuple[datetime, float | None, datetime]], known_at: datetime, period: timedelta) -> float | None:
    """The value of the newest point that is known, of those whose period is over at midnight."""
    points = {
        ts: value for ts, value in known(rows, known_at).items() if ts + period <= known_at - timedelta(minutes=1)
    }
    return points[max(points)] if points else None


def state(rows: list[tuple[datetime, float | None, datetime]]) -> dict[datetime, list[tuple[datetime, float | None]]]:
    """The history of each point without what changes nothing: late rows leave such versions behind."""
    told: dict[datetime, list[tuple[datetime, float | None]]] = {}
    for ts, value, at in rows:
        history = told.setdefault(ts, [])
        if value != (history[-1][1] if history else None):
            history.append((at, value))
    return {ts: history for ts, history in told.items() if history}


def known(rows: list[tuple[datetime, float | None, datetime]], known_at: datetime) -> dict[datetime, float]:
    """The newest value of each point as of a moment, withdrawn ones left out."""
    newest = {ts: value for ts, value, at in rows if at <= known_at}
    return {ts: value for ts, value in newest.items() if value is not None}
