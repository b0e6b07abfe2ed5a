"""Validity and age of many instants at once, against the database's own answers and against plain Python."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store import clock
from feature_store.catalog import FeatureSpec, load_catalog
from feature_store.catalog.calendars import CALENDARS, HORIZON
from feature_store.catalog.sync import sync
from feature_store.errors import CatalogError
from feature_store.serving.timing import WITH_CLOSINGS, open_age, valid_at

from . import SHAPES, Shape, instants, moments, reference, shaped

DAY = timedelta(days=1)
END = datetime.combine(HORIZON + DAY, datetime.min.time(), UTC)

_FEATURES = """
insert into registry.features_catalog
  (id, version, content_sha256, entity, description, unit, frequency, grain, ttl_ms, tags, source_id, source_class,
   calendar, label, spec, is_current, synced_at)
select 'test/' || n, 1, repeat('0', 64), 'asset', '', 'USD', '1d', 'daily', 1, '{}', 's', 'cex', '24x7', 'instant',
       spec, true, ops.now()
from unnest(%s::jsonb[]) with ordinality as shape (spec, n)
"""
_POINTS = """
insert into features.latest_values
  (feature_id, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta, evidence,
   version)
select 'test/' || n, ts, 1, 1, false, ts, 'schedule', ts, '{}', '[]', 1
from unnest(%s::timestamptz[]) with ordinality as point (ts, n)
"""
_TIMES = "select valid_at, age from features.latest order by replace(feature_id, 'test/', '')::int"


def between(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """Instants to the microsecond, midnights, and last days of months."""
    exact = st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None)).map(lambda at: at.replace(tzinfo=UTC))
    midnights = exact.map(lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0))
    ends = exact.map(lambda at: at.replace(day=1) - DAY)
    return exact | midnights.filter(first.__le__) | ends.filter(first.__le__)


@st.composite
def told(draw: st.DrawFn) -> tuple[datetime, list[tuple[Shape, datetime]]]:
    """A now, and points of the 500 days before it; every period among SHAPES is over by then but for the yearly one."""
    now = draw(between(datetime(1993, 1, 1, tzinfo=UTC), END - timedelta(microseconds=1)))
    shapes = st.sampled_from([shape for shape in SHAPES if shape[2] != "P1Y1M2DT3H"])
    points = st.tuples(shapes, between(now - 500 * DAY, now - 100 * DAY))
    return now, draw(st.lists(points, min_size=1, max_size=40))


@pytest.fixture
def store(db: psycopg.Connection) -> psycopg.Connection:
    """A store that has the calendars, and no feature in the catalog."""
    sync(db, load_catalog())
    db.execute("truncate registry.features_catalog cascade")
    db.commit()
    return db


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=told())
def test_validity_and_age_are_those_of_features_latest(
    store: psycopg.Connection, feature: FeatureSpec, story: tuple[datetime, list[tuple[Shape, datetime]]]
) -> None:
    now, points = story
    store.execute("truncate registry.features_catalog, features.latest_values cascade")
    clock.freeze(store, now)
    specs = [shaped(feature, shape) for shape, _ in points]
    store.execute(_FEATURES, ([json.dumps(spec.wire()) for spec in specs],))
    store.execute(_POINTS, ([ts for _, ts in points],))
    valid = [valid_at(spec, instants([ts])) for spec, (_, ts) in zip(specs, points, strict=True)]
    ages = [open_age(spec.calendar, at, instants([now])) for spec, at in zip(specs, valid, strict=True)]
    answered = store.execute(_TIMES).fetchall()
    assert moments(np.concatenate(valid)) == [at for at, _ in answered]
    assert [timedelta(microseconds=int(age)) for [age] in ages] == [age for _, age in answered]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calendar=st.sampled_from(CALENDARS), data=st.data())
def test_closed_time_is_that_of_the_database(store: psycopg.Connection, calendar: str, data: st.DataObject) -> None:
    since = data.draw(between(datetime(1990, 1, 1, tzinfo=UTC), END - 91 * DAY))
    spans = data.draw(
        st.lists(st.tuples(st.timedeltas(0 * DAY, 60 * DAY), st.timedeltas(0 * DAY, 30 * DAY)), min_size=1)
    )
    from_at = [since + wait for wait, _ in spans]
    to_at = [at + length for at, (_, length) in zip(from_at, spans, strict=True)]
    closed = store.execute(
        """select features.closed_time(%s, from_at, to_at)
           from unnest(%s::timestamptz[], %s::timestamptz[]) with ordinality as spans (from_at, to_at, n) order by n""",
        (calendar, from_at, to_at),
    ).fetchall()
    ages = open_age(calendar, instants(from_at), instants(to_at))
    assert [to - at - timedelta(microseconds=int(age)) for at, to, age in zip(from_at, to_at, ages, strict=True)] == [
        span for (span,) in closed
    ]


def test_an_interval_of_months_is_added_as_the_database_adds_it(db: psycopg.Connection, feature: FeatureSpec) -> None:
    ts = [datetime(2023, 1, 1, 12, tzinfo=UTC) + n * DAY for n in range(800)]
    for period in ("P1M", "P3M", "P1Y", "P13M", "P1Y1M2DT3H"):
        later = db.execute(
            "select ts + %s::interval from unnest(%s::timestamptz[]) with ordinality as t (ts, n) order by n",
            (period, ts),
        ).fetchall()
        assert moments(valid_at(shaped(feature, ("24x7", "start", period)), instants(ts))) == [at for (at,) in later]


@given(shape=st.sampled_from(SHAPES), ts=st.lists(between(datetime(1990, 1, 2, tzinfo=UTC), END - 800 * DAY)))
def test_validity_follows_its_definition(feature: FeatureSpec, shape: Shape, ts: list[datetime]) -> None:
    spec = shaped(feature, shape)
    assert moments(valid_at(spec, instants(ts))) == [reference.valid_at(spec, at) for at in ts]


@given(
    calendar=st.sampled_from(CALENDARS),
    since=between(datetime(1990, 1, 1, tzinfo=UTC), END - 41 * DAY),
    length=st.timedeltas(0 * DAY, 40 * DAY),
)
def test_age_follows_its_definition(calendar: str, since: datetime, length: timedelta) -> None:
    [age] = open_age(calendar, instants([since]), instants([since + length]))
    assert timedelta(microseconds=int(age)) == reference.open_age(calendar, since, since + length)


def test_a_weekend_does_not_age_a_value_of_the_stock_market(feature: FeatureSpec) -> None:
    friday, monday = datetime(2024, 5, 31, tzinfo=UTC), datetime(2024, 6, 3, 13, 30, tzinfo=UTC)
    valid = valid_at(shaped(feature, ("nyse", "start", "session")), instants([friday]))
    assert moments(valid) == [datetime(2024, 5, 31, 20, tzinfo=UTC)]
    assert open_age("nyse", valid, instants([monday])) == instants([datetime(1970, 1, 1, 17, 30, tzinfo=UTC)])


def test_a_value_of_a_holiday_is_valid_with_the_session_before(feature: FeatureSpec) -> None:
    holiday = datetime(2024, 5, 27, tzinfo=UTC)
    valid = valid_at(shaped(feature, ("nyse", "start", "session")), instants([holiday]))
    assert moments(valid) == [datetime(2024, 5, 24, 20, tzinfo=UTC)]


@pytest.mark.parametrize("calendar", sorted(WITH_CLOSINGS))
def test_age_up_to_an_instant_beyond_the_horizon_is_an_error(calendar: str) -> None:
    last, beyond = instants([END - timedelta(microseconds=1)]), instants([END])
    assert open_age(calendar, last, last) == 0
    with pytest.raises(CatalogError, match=f"calendar {calendar} knows .* and was asked for 2036-01-01"):
        open_age(calendar, last, beyond)
    with pytest.raises(CatalogError, match="beyond the horizon"):
        open_age(calendar, last, np.array([np.iinfo(np.int64).max]))


def test_age_by_a_calendar_that_never_closes_has_no_horizon() -> None:
    assert open_age("24x7", instants([END]), instants([END + DAY])) == 86_400_000_000


def test_an_unknown_calendar_is_an_error() -> None:
    with pytest.raises(CatalogError, match="unknown calendar 'lunar'"):
        open_age("lunar", instants([]), instants([]))


@pytest.mark.parametrize("day", [datetime(1989, 12, 29, tzinfo=UTC), datetime(1990, 1, 1, tzinfo=UTC), END])
def test_a_session_that_the_calendar_does_not_know_is_an_error(feature: FeatureSpec, day: datetime) -> None:
    with pytest.raises(CatalogError, match=f"was asked for {day:%Y-%m-%d}"):
        valid_at(shaped(feature, ("nyse", "start", "session")), instants([day]))
