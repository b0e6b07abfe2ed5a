"""The newest known point, found for many instants at once, against its definition and against the database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store import clock
from feature_store.catalog import FeatureSpec
from feature_store.errors import CatalogError
from feature_store.serving.steps import COLUMNS, Steps
from feature_store.serving.timing import Instants
from feature_store.warehouse.versions import VERSIONS, open_hot
from tests.warehouse.test_append_versions import DAY, START, Candidate, append, candidates, empty

from . import INSTANT, SHAPES, Shape, instants, shaped
from .reference import Question, Version, newest, valid_at

FIRST = datetime(2024, 1, 26, tzinfo=UTC)
"""A Friday: from here on come a weekend, the end of a January, whose last days end a month together, and holidays."""
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
NONE = -1
ALWAYS = np.iinfo(np.int64).max
BASES = ("schedule", "backfilled", "ingested")
HALF_DAYS = st.integers(0, 23).map(lambda n: FIRST + n * 12 * HOUR)
WAITS = st.sampled_from([timedelta(0), HOUR, DAY, 12 * HOUR, 40 * DAY])


def table(versions: Sequence[Version]) -> pa.Table:
    """The rows as they are read from the store."""
    columns = {
        "ts": [version.ts for version in versions],
        "value": [version.value for version in versions],
        "available_at": [version.available_at for version in versions],
        "available_basis": [version.basis for version in versions],
        "ingested_at": [version.ingested_at for version in versions],
    }
    return pa.table(columns, pa.schema([VERSIONS.field(name) for name in COLUMNS]))


def answers(feature: FeatureSpec, versions: Sequence[Version], asked: Sequence[Question]) -> list[Version | None]:
    """What Steps say, of questions that differ in `at` and `known_at` alone."""
    steps = Steps.of(feature, table(versions), asked[0].as_stored)
    at, known_at = instants(one.at for one in asked), instants(one.known_at for one in asked)
    found = steps.newest(at, known_at, strict=asked[0].is_strict, max_age=asked[0].max_age)
    return [None if row == NONE else versions[row] for row in found]


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Versions of few points: late, revised, corrected, withdrawn, back again, some of them backfilled."""
    points = draw(st.lists(HALF_DAYS, min_size=1, max_size=8))
    told = draw(st.lists(st.tuples(st.sampled_from(points), WAITS, WAITS), max_size=20, unique=True))
    versions = {}
    for number, (ts, late, later) in enumerate(told):
        value, basis = draw(st.sampled_from([None, float(number)])), draw(st.sampled_from(BASES))
        version = Version(ts, ts + late, ts + late + later, value, basis)
        versions[version.key] = version
    return [versions[key] for key in sorted(versions)]


@st.composite
def cases(draw: st.DrawFn, feature: FeatureSpec) -> tuple[FeatureSpec, list[Version], list[Question]]:
    """A history, and questions about just when something in it changes, in no order, under one set of conditions."""
    spec = shaped(feature, draw(st.sampled_from(SHAPES)))
    versions = draw(histories())
    over = [valid_at(spec, version.ts) for version in versions]
    changes = [instant for version in versions for instant in version.key[1:]]
    when, known = (
        st.sampled_from([FIRST, *instants, FIRST + 500 * DAY]).flatmap(
            lambda at: st.sampled_from([at, at - MICROSECOND])
        )
        for instants in (over, changes)
    )
    pairs = draw(st.lists(st.tuples(when, known), min_size=1, max_size=12))
    stored, is_strict = draw(st.none() | known), draw(st.booleans())
    max_age = draw(st.none() | st.sampled_from([0 * DAY, 12 * HOUR, DAY, 3 * DAY, 30 * DAY]))
    return spec, versions, [Question(at, known_at, stored, is_strict, max_age) for at, known_at in pairs]


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_the_newest_point_is_the_one_of_the_definition(feature: FeatureSpec, data: st.DataObject) -> None:
    spec, versions, asked = data.draw(cases(feature))
    assert answers(spec, versions, asked) == [newest(spec, versions, one) for one in asked]


FATES = ("told", "revised", "withdrawn", "back", "backfilled")


def long_history(random: Random, every: timedelta) -> list[Version]:
    """Hundreds of points in stretches: on time, revised, withdrawn for a while or for good, or partly backfilled."""
    versions: dict[tuple[datetime, ...], Version] = {}
    points = random.randint(1, 700)
    loaded = FIRST + (points + 100) * every

    def tell(ts: datetime, available_at: datetime, value: float | None, *, late: bool = False) -> None:
        version = Version(
            ts, available_at, max(loaded, available_at) if late else available_at, value, "backfilled" if late else ""
        )
        versions[version.key] = version

    number = 0
    while number < points:
        fate, happens = random.choice(FATES), FIRST + random.randint(0, points + 60) * every
        for _ in range(min(random.choice([1, 9, 90, 400]), points - number)):
            ts, number = FIRST + number * every, number + 1
            after = max(happens, ts + 2 * every)
            tell(ts, ts + every * random.random(), number, late=fate == "backfilled" and random.random() < 0.8)
            if fate == "revised":
                for revision in range(random.randint(1, 20)):
                    tell(ts, after + revision * every, number + revision / 100)
            if fate in {"withdrawn", "back"}:
                tell(ts, after, None)
            if fate == "back":
                tell(ts, after + 30 * every, number + 0.5)
    return [versions[key] for key in sorted(versions)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), is_strict=st.booleans(), shape=st.sampled_from([INSTANT, ("24x7", "start", "P1M")]))
def test_the_newest_point_is_found_however_far_back_it_lies(
    feature: FeatureSpec, seed: int, is_strict: bool, shape: Shape
) -> None:
    random = Random(seed)
    spec, every = shaped(feature, shape), random.choice([MINUTE, 11 * HOUR])
    versions = long_history(random, every)
    at = [valid_at(spec, random.choice(versions).ts) + random.choice([0, 1, 60]) * every for _ in range(20)]
    known = [random.choice(versions).available_at for _ in at]
    pairs = [*zip(at, known, strict=True), *zip(at, at, strict=True), *((instant, known[0]) for instant in at)]
    stored = random.choice([None, random.choice(versions).ingested_at])
    asked = [Question(at, known_at, stored, is_strict) for at, known_at in pairs]
    assert answers(spec, versions, asked) == [newest(spec, versions, one) for one in asked]


def stored(dsn: str, name: str) -> pa.Table:
    """The versions of a feature as they lie in the database."""
    with open_hot(dsn) as hot:
        return hot.read([name], columns=COLUMNS).read_all()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=candidates(), at=st.integers(-1, 5), known=st.integers(2, 9), stored_on=st.integers(-1, 5))
def test_the_newest_point_is_that_of_features_as_of(
    db: psycopg.Connection, dsn: str, feature: FeatureSpec, batches: list[list[Candidate]], at: int, known: int,
    stored_on: int,
) -> None:  # fmt: skip
    empty(db)
    for index, batch in enumerate(batches):
        clock.freeze(db, START + (100 + index) * DAY)
        append(db, [one for one in batch if one.feature == "t/a"])
    asked = (START + at * DAY, START + known * DAY, START + (100 + stored_on) * DAY)
    row = db.execute(
        """select ts, available_at, ingested_at, value from features.as_of(%s, %s)
           where feature_id = 't/a' and ts <= %s and value is not null order by ts desc limit 1""",
        (asked[1], asked[2], asked[0]),
    ).fetchone()
    versions = stored(dsn, "t/a")
    [found] = Steps.of(shaped(feature, INSTANT), versions, asked[2]).newest(instants(asked[:1]), instants(asked[1:2]))
    names = ["ts", "available_at", "ingested_at", "value"]
    assert (None if found == NONE else tuple(versions.select(names).slice(found, 1).to_pylist()[0].values())) == row


def told(day: int, value: float | None, after: int = 0, late: int = 0, basis: str = "schedule") -> Version:
    """A version of the point of a day, available `after` days later and ingested `late` days after that."""
    ts = FIRST + day * DAY
    return Version(ts, ts + after * DAY, ts + (after + late) * DAY, value, basis)


def value_at(
    feature: FeatureSpec, versions: Sequence[Version], at: int, known: int, *, strict: bool = True
) -> float | None:
    """The newest value of a feature of instants at day `at`, as of day `known`."""
    [found] = answers(feature, versions, [Question(FIRST + at * DAY, FIRST + known * DAY, None, strict)])
    return None if found is None else found.value


@pytest.fixture
def plain(feature: FeatureSpec) -> FeatureSpec:
    """A feature of instants, whose calendar never closes."""
    return shaped(feature, INSTANT)


def test_a_revision_counts_from_when_it_was_known(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0), told(0, 2.0, after=5)]
    assert [value_at(plain, versions, 9, known) for known in (-1, 0, 4, 5)] == [None, 1.0, 1.0, 2.0]


def test_what_is_known_before_it_is_valid_waits_for_its_time(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0), Version(FIRST + 5 * DAY, FIRST, FIRST, 2.0, "stated")]
    assert [value_at(plain, versions, at, 9) for at in (4, 5)] == [1.0, 2.0]


def test_a_withdrawn_point_gives_way_to_the_one_before_until_it_comes_back(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0), told(1, 2.0), told(1, None, after=3), told(1, 3.0, after=5)]
    assert [value_at(plain, versions, 9, known) for known in (3, 4, 5, 6)] == [2.0, 1.0, 1.0, 3.0]


def test_a_correction_was_never_otherwise_but_to_an_audit(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0), told(0, 2.0, late=10)]
    assert value_at(plain, versions, 1, 1) == 2.0
    audit = [Question(FIRST + DAY, FIRST + DAY, FIRST + 9 * DAY)]
    assert answers(plain, versions, audit) == versions[:1]


def test_a_backfilled_row_is_known_since_it_was_ingested_unless_told_otherwise(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0), told(1, 2.0, late=10, basis="backfilled")]
    assert [value_at(plain, versions, 5, known) for known in (5, 11)] == [1.0, 2.0]
    assert value_at(plain, versions, 5, 5, strict=False) == 2.0


def test_a_backfilled_row_does_not_supersede_what_was_available_after_it(plain: FeatureSpec) -> None:
    versions = [told(0, 1.0, late=10, basis="backfilled"), told(0, 2.0, after=3)]
    assert [value_at(plain, versions, 20, known) for known in (2, 3, 20)] == [None, 2.0, 2.0]


def test_a_row_ends_with_the_first_that_supersedes_it_and_not_with_the_next(plain: FeatureSpec) -> None:
    late = told(1, 3.0, after=1, late=10, basis="backfilled")
    versions = [told(0, 1.0), told(1, 2.0), late, told(1, None, after=3)]
    assert [value_at(plain, versions, 20, known) for known in (3, 4, 11)] == [2.0, 1.0, 1.0]


def test_of_points_valid_at_once_the_latest_counts(feature: FeatureSpec) -> None:
    friday_saturday_sunday = [told(0, 1.0), told(1, 2.0), told(2, 3.0)]
    spec = shaped(feature, ("nyse", "start", "session"))
    assert [value_at(spec, friday_saturday_sunday, 9, known) for known in (0, 1, 2)] == [1.0, 2.0, 3.0]


def test_an_age_is_measured_from_the_end_of_the_period_in_open_time(feature: FeatureSpec) -> None:
    versions = [told(0, 1.0)]
    closed = datetime(2024, 1, 26, 21, tzinfo=UTC)
    spec = shaped(feature, ("nyse", "start", "session"))
    asked = [Question(closed + 3 * DAY + extra, FIRST + 9 * DAY, max_age=DAY) for extra in (0 * DAY, MICROSECOND)]
    assert answers(spec, versions, asked) == [versions[0], None]


def test_a_point_that_is_too_old_does_not_make_room_for_an_older_one(plain: FeatureSpec) -> None:
    asked = [Question(FIRST + 5 * DAY, FIRST + 5 * DAY, max_age=3 * DAY)]
    assert answers(plain, [told(0, 1.0), told(1, 2.0)], asked) == [None]


def test_a_withdrawn_point_is_nothing_even_at_the_end_of_time(plain: FeatureSpec) -> None:
    steps = Steps.of(plain, table([told(0, 1.0), told(1, 2.0), told(1, None, after=1)]))
    assert list(steps.newest(np.array([ALWAYS]), np.array([ALWAYS]))) == [0]


@pytest.mark.parametrize("versions", [[], [told(0, None)]])
def test_a_feature_without_a_value_answers_nothing(plain: FeatureSpec, versions: list[Version]) -> None:
    asked = [Question(FIRST + 9 * DAY, FIRST + 9 * DAY, max_age=DAY)] * 3
    assert answers(plain, versions, asked) == [None] * 3


def test_no_question_has_no_answer(plain: FeatureSpec) -> None:
    nothing: Instants = np.array([], np.int64)
    assert len(Steps.of(plain, table([told(0, 1.0)])).newest(nothing, nothing, max_age=DAY)) == 0


@pytest.mark.parametrize(
    "versions",
    [
        [told(1, 1.0), told(0, 1.0)],
        [told(0, 1.0, after=1), told(0, 1.0, after=0)],
        [told(0, 1.0, late=1), told(0, 1.0, late=0)],
        [told(0, 1.0), told(0, 1.0)],
    ],
)
def test_rows_in_another_order_are_refused(plain: FeatureSpec, versions: list[Version]) -> None:
    with pytest.raises(ValueError, match="in the order of ts, available_at, ingested_at"):
        Steps.of(plain, table(versions))


def test_an_age_beyond_the_calendars_horizon_is_an_error(feature: FeatureSpec) -> None:
    asked = [Question(datetime(2036, 1, 1, tzinfo=UTC), FIRST, max_age=DAY)]
    with pytest.raises(CatalogError, match="beyond the horizon"):
        answers(shaped(feature, ("nyse", "instant", None)), [told(0, 1.0)], asked)
