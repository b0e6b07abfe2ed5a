"""What was known at an instant, as the store held it at another: the SQL functions that analysts use."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store import clock
from feature_store.quality.assessments import Assessment, assess

from .test_append_versions import DAY, START, Candidate, append, candidates, empty
from .test_partitions import scanned

Connection = psycopg.Connection[Any]


def define(db: Connection, *features: str, version: int = 1) -> None:
    """Put features into the catalog, daily, at this version."""
    for feature in features:
        db.execute("update registry.features_catalog set is_current = false where id = %s", (feature,))
        db.execute(
            """insert into registry.features_catalog
                 (id, version, content_sha256, entity, description, unit, frequency, grain, ttl_ms, tags, source_id,
                  source_class, calendar, label, spec, is_current, synced_at)
               values (%s, %s, repeat('0', 64), 'macro', '', 'USD', '1d', 'daily', 1, '{}', 's', 'macro', '24x7',
                       'instant', '{}', true, ops.now())""",
            (feature, version),
        )


def newest(db: Connection, known: datetime, stored: datetime | str = "infinity") -> dict[str, tuple[datetime, float]]:
    """(ts, value) of each feature's newest point in state (known, stored)."""
    rows = db.execute("select feature_id, ts, value from features.latest_as_of(%s, %s)", (known, stored))
    return {feature: (ts, value) for feature, ts, value in rows}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=candidates(), known=st.integers(0, 9), stored=st.integers(-1, 6))
def test_the_newest_point_of_a_state_is_the_newest_of_all_its_points(
    db: Connection, batches: list[list[Candidate]], known: int, stored: int
) -> None:
    empty(db)
    db.execute("truncate registry.features_catalog cascade")
    define(db, "t/a", "t/b")
    for index, batch in enumerate(batches):
        clock.freeze(db, START + (100 + index) * DAY)
        append(db, batch)
    instants = START + known * DAY, START + (100 + stored) * DAY
    expected = db.execute(
        """select distinct on (feature_id) feature_id, ts, value from features.as_of(%s, %s)
           where value is not null order by feature_id, ts desc""",
        instants,
    ).fetchall()
    assert newest(db, *instants) == {feature: (ts, value) for feature, ts, value in expected}


def test_what_was_newest_then_is_not_what_is_newest_now(db: Connection) -> None:
    define(db, "t/a")
    append(db, [Candidate(ts=0, available_at=1, value=1.0), Candidate(ts=5, available_at=6, value=5.0)])
    append(db, [Candidate(ts=0, available_at=8, value=1.5)])
    assert newest(db, START) == {}
    assert newest(db, START + 2 * DAY) == {"t/a": (START, 1.0)}
    assert newest(db, START + 9 * DAY) == {"t/a": (START + 5 * DAY, 5.0)}


def test_a_point_that_was_withdrawn_then_gives_way_to_the_one_before(db: Connection) -> None:
    define(db, "t/a")
    append(db, [Candidate(ts=0, available_at=1), Candidate(ts=1, available_at=2, value=2.0)])
    append(db, [Candidate(ts=1, available_at=5, value=None)])
    assert newest(db, START + 4 * DAY) == {"t/a": (START + DAY, 2.0)}
    assert newest(db, START + 6 * DAY) == {"t/a": (START, 1.0)}


def test_the_newest_point_is_of_the_current_definition(db: Connection) -> None:
    define(db, "t/a")
    append(db, [Candidate(ts=0), Candidate(ts=3, available_at=4)])
    define(db, "t/a", version=2)
    append(db, [Candidate(ts=0, version=2, value=7.0)])
    assert newest(db, START + 9 * DAY) == {"t/a": (START, 7.0)}


def test_an_audit_sees_what_the_store_held_and_research_what_the_world_could_know(db: Connection) -> None:
    clock.freeze(db, START + 100 * DAY)
    append(db, [Candidate(ts=0, available_at=1, value=1.0)])
    clock.freeze(db, START + 200 * DAY)
    append(db, [Candidate(ts=0, available_at=1, value=2.0), Candidate(ts=0, available_at=50, value=3.0)])

    def value(relation: str) -> float:
        row = db.execute(f"select value from features.{relation} where feature_id = 't/a'".encode()).fetchone()
        assert row is not None
        return float(row[0])

    day_2, day_150 = f"'{START + 2 * DAY}'", f"'{START + 150 * DAY}'"
    assert value(f"as_of({day_2})") == 2.0, "our error of then is corrected in what is researched"
    assert value(f"as_stored({day_150})") == 1.0
    assert value(f"as_of({day_2}, {day_150})") == 1.0
    assert value("as_of('infinity')") == value("as_stored('infinity')") == 3.0


def test_a_withdrawn_point_stays_visible_as_null(db: Connection) -> None:
    append(db, [Candidate(ts=0, value=1.0)])
    append(db, [Candidate(ts=0, available_at=3, value=None)])
    assert db.execute("select value from features.as_of('infinity')").fetchall() == [(None,)]


@pytest.mark.parametrize("name", ["as_of", "as_stored", "latest_as_of"])
def test_the_example_in_the_comment_runs(db: Connection, name: str) -> None:
    row = db.execute("select obj_description(('features.' || %s)::regproc)", (name,)).fetchone()
    assert row is not None
    _, found, example = row[0].partition(" Example: ")
    assert found
    db.execute(example.encode())


def test_an_old_instant_does_not_read_the_days_after_it(db: Connection) -> None:
    define(db, "t/a")
    append(db, [Candidate(ts=day, available_at=day + 1) for day in range(0, 800, 100)])
    assert scanned(db, "select * from features.latest_as_of('2024-05-01')") == {
        "confidence",
        "features_catalog",
        "features_versions_daily_2024",
    }
    assert scanned(db, "select * from features.latest_as_of('infinity', '2024-05-01')") == {
        "confidence",
        "features_catalog",
        "features_versions_daily_2024",
    }


def test_who_does_not_ask_for_confidence_does_not_read_assessments(db: Connection) -> None:
    append(db, [Candidate()])
    assert scanned(db, "select ts, value from features.as_of('2026-01-01')") == {"features_versions_daily_2024"}


def test_the_newest_points_have_the_confidence_of_their_last_assessment_by_then(db: Connection) -> None:
    define(db, "t/a", "t/b")
    clock.freeze(db, START + 10 * DAY)
    append(db, [Candidate("t/a"), Candidate("t/b")])
    for day, confidence in ((20, 0.5), (30, 0.25)):
        clock.freeze(db, START + day * DAY)
        assess(db, "test", [Assessment("t/a", 1, START, START + DAY, START + 10 * DAY, confidence, {})])
    db.commit()
    told = "select confidence from features.latest_as_of(%s, %s) order by feature_id"
    before, between, after = START + 19 * DAY, START + 20 * DAY, START + 31 * DAY
    for known, stored, expected in (
        (after, after, 0.25),
        (between, after, 0.5),
        (after, between, 0.5),
        (before, after, 0.9),
    ):
        assert db.execute(told, (known, stored)).fetchall() == [(expected,), (0.9,)]
    assert db.execute("select confidence from features.latest order by feature_id").fetchall() == [(0.25,), (0.9,)]


def test_a_bounded_span_is_found_by_the_index(db: Connection) -> None:
    append(db, [Candidate(feature=f"t/{name}", ts=day, available_at=400) for name in "abcdefgh" for day in range(300)])
    db.execute("analyze features.features_versions")
    span = f"feature_id = 't/c' and ts >= '{START}' and ts < '{START + timedelta(days=5)}'"
    plan = db.execute(f"explain select value from features.as_of('2026-01-01') where {span}".encode())
    text = "\n".join(line for (line,) in plan)
    assert "Index Cond: ((feature_id = 't/c'::text) AND (ts >=" in text
