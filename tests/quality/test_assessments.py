"""Later assessments are appended when they say something new, and change nothing but what readers are told."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.errors import QualityError
from feature_store.quality.assessments import Assessment, assess
from tests.warehouse.test_append_versions import DAY, START, Candidate, append

NOW = START + 30 * DAY
TABLES = (
    "features.features_versions",
    "features.features_values",
    "features.latest_values",
    "ops.dirty_days",
    "ops.changed_days",
)


@pytest.fixture
def first(db: psycopg.Connection) -> Assessment:
    """Of the first of two points, at half of what it was ingested with; the clock stands still."""
    clock.freeze(db, NOW)
    append(db, [Candidate(ts=0), Candidate(ts=1, available_at=2)])
    return Assessment("t/a", 1, START, START + DAY, NOW, 0.45, {"agreement": 0.5})


def held(db: psycopg.Connection) -> list[tuple[object, ...]]:
    return db.execute("select confidence, reasons, run_id from quality.confidence order by assessed_at").fetchall()


def test_what_is_said_twice_is_appended_once(db: psycopg.Connection, first: Assessment) -> None:
    assert assess(db, "one", [first]) == 1
    assert assess(db, "two", [first]) == 0
    assert assess(db, "two", [first, first]) == 0
    assert held(db) == [(0.45, {"agreement": 0.5}, "one")]


def test_other_reasons_for_the_same_confidence_are_news_and_so_is_what_was_thought_before(
    db: psycopg.Connection, first: Assessment
) -> None:
    other = replace(first, reasons={"freshness": 0.5})
    for run, said in enumerate([first, other, first]):
        assert assess(db, str(run), [said]) == 1
    assert [reasons for _, reasons, _ in held(db)] == [{"agreement": 0.5}, {"freshness": 0.5}, {"agreement": 0.5}]


def test_the_confidence_at_ingest_is_no_news_until_something_else_was_said(
    db: psycopg.Connection, first: Assessment
) -> None:
    as_ingested = replace(first, confidence=0.9)
    assert assess(db, "run", [as_ingested]) == 0
    assert assess(db, "run", [first]) == 1
    assert assess(db, "run", [as_ingested]) == 1


def test_of_several_of_one_version_the_last_counts(db: psycopg.Connection, first: Assessment) -> None:
    assert assess(db, "run", [first, replace(first, confidence=0.2)]) == 1
    assert held(db) == [(0.2, {"agreement": 0.5}, "run")]


def test_nothing_is_appended_without_assessments(db: psycopg.Connection) -> None:
    assert assess(db, "run", []) == 0


def test_a_version_that_is_not_held_is_refused_and_nothing_is_appended(
    db: psycopg.Connection, first: Assessment
) -> None:
    for unknown in (
        replace(first, feature_id="t/b"),
        replace(first, version=2),
        replace(first, available_at=first.available_at + timedelta(microseconds=1)),
    ):
        with pytest.raises(QualityError, match=f"there is no version {unknown.version} of {unknown.feature_id}"):
            assess(db, "run", [first, unknown])
    assert held(db) == []


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_beyond_its_bounds_is_refused(first: Assessment, confidence: float) -> None:
    with pytest.raises(QualityError, match="confidence is 0 to 1"):
        replace(first, confidence=confidence)


def test_a_reason_that_is_no_number_is_refused(first: Assessment) -> None:
    with pytest.raises(QualityError, match="reasons are numbers"):
        replace(first, reasons={"agreement": float("nan")})


def test_instants_of_a_feature_ascend_whether_it_is_assessed_or_written_to(
    db: psycopg.Connection, first: Assessment
) -> None:
    assess(db, "run", [first])
    append(db, [Candidate(ts=2, available_at=3)])
    assess(db, "run", [replace(first, confidence=0.1)])
    told = db.execute(
        """select assessed_at from quality.confidence
           union all select distinct ingested_at from features.features_versions order by 1"""
    ).fetchall()
    assert [at for (at,) in told] == [NOW + timedelta(microseconds=nth) for nth in range(4)]


def test_an_assessment_touches_no_feature_table_and_no_day(db: psycopg.Connection, first: Assessment) -> None:
    def everything() -> list[list[tuple[object, ...]]]:
        return [db.execute(f"select t::text, xmin::text from {table} as t order by 1").fetchall() for table in TABLES]

    before = everything()
    assess(db, "run", [first])
    assert everything() == before


def test_whoever_assesses_at_the_same_time_waits_and_sees_what_was_said(
    db: psycopg.Connection, dsn: str, first: Assessment
) -> None:
    assess(db, "one", [first])
    with psycopg.connect(dsn) as other:
        other.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            assess(other, "two", [first])
        other.rollback()
        db.commit()
        assert assess(other, "two", [first]) == 0
