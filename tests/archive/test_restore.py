"""Retired days back into the database, as they were."""

from datetime import date

import pytest
from pyiceberg.expressions import EqualTo

from feature_store.archive.restore import restore_range
from feature_store.errors import ArchiveError, FeatureStoreError, UnknownFeature

from .store import A, B, Point, Store

NOW = "2024-06-10"
JANUARY, MONDAY, TUESDAY = "2024-01-31", "2024-03-04", "2024-03-05"
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 31)


@pytest.fixture
def retired(archive: Store) -> Store:
    """Two features on days of two months, revised and withdrawn, in the history alone."""
    archive.at(NOW)
    archive.append(
        *(
            Point(f"{day} 0{hour}:00", hour, feature)
            for day in (JANUARY, MONDAY, TUESDAY)
            for hour in (1, 2)
            for feature in (A, B)
        )
    )
    archive.append(Point(f"{MONDAY} 01:00", None, available_at="2024-06-02"), Point(f"{MONDAY} 02:00", 8, B))
    archive.retire()
    assert archive.hot() == []
    return archive


def values(store: Store) -> list[tuple[object, ...]]:
    rows = store.conn.execute(
        "select feature_id, ts::text, value, version from features.features_values order by feature_id, ts"
    ).fetchall()
    store.conn.commit()
    return rows


def test_a_range_comes_back_version_for_version_and_nothing_counts_as_news(retired: Store) -> None:
    versions, hash_, dirty = retired.versions(), retired.hash(), retired.dirty()
    assert restore_range(retired.settings, [A], date(2024, 3, 4), date(2024, 3, 5)) == 5
    assert retired.hot() == [row for row in versions if row[0] == A and row[2].month == 3]
    assert (retired.versions(), retired.hash(), retired.dirty()) == (versions, hash_, dirty)
    assert retired.commit_history() == 0
    assert retired.retired() == {(A, JANUARY), (B, JANUARY), (B, MONDAY), (B, TUESDAY)}


def test_values_come_back_as_the_newest_version_has_them(retired: Store) -> None:
    restore_range(retired.settings, [A, B], FIRST, LAST)
    assert [row[2] for row in values(retired) if str(row[1]).startswith(MONDAY)] == [2.0, 1.0, 8.0], "one is withdrawn"


def test_what_is_there_is_not_restored_twice(retired: Store) -> None:
    assert restore_range(retired.settings, [A, B], FIRST, LAST) == 14
    before = (retired.hot(), values(retired))
    assert restore_range(retired.settings, [A, B], FIRST, LAST) == 0
    assert (retired.hot(), values(retired)) == before


def test_an_unknown_feature_and_a_range_that_ends_before_it_begins_are_refused(retired: Store) -> None:
    with pytest.raises(UnknownFeature, match=r"t/c.*feature-store status"):
        restore_range(retired.settings, ["t/c"], FIRST, LAST)
    with pytest.raises(ArchiveError, match="--to 2024-01-01 lies before --from 2024-03-31"):
        restore_range(retired.settings, [A], LAST, FIRST)


def test_while_s3_is_away_nothing_comes_back_and_the_next_run_completes_it(retired: Store) -> None:
    versions = retired.versions()
    retired.server.stop()
    with pytest.raises(ArchiveError, match=retired.settings.s3_url):
        restore_range(retired.settings, [A, B], FIRST, LAST)
    assert retired.hot() == []
    retired.server.start()
    assert restore_range(retired.settings, [A, B], FIRST, LAST) == 14
    assert retired.hot() == versions


def test_what_the_history_lost_is_told_and_its_month_stays_retired(retired: Store) -> None:
    with retired.iceberg() as table:
        table.delete(EqualTo("ts", f"{JANUARY}T01:00:00+00:00"))
    with pytest.raises(FeatureStoreError, match=r"t/. on 2024-01-31 had 2 versions, now 1"):
        restore_range(retired.settings, [A, B], FIRST, LAST)
    assert {day for _, day in retired.retired()} == {JANUARY}, "the newer month came back"


@pytest.mark.parametrize(
    ("table", "event"),
    [
        ("features.features_versions", "insert"),
        ("features.features_values", "insert"),
        ("ops.retired_days", "delete"),
        ("ops.restored_days", "insert"),
    ],
)
def test_a_restoring_that_is_killed_loses_nothing_and_the_next_one_completes_it(
    retired: Store, table: str, event: str
) -> None:
    versions, hash_ = retired.versions(), retired.hash()
    with retired.dying(table, event), pytest.raises(FeatureStoreError, match="killed"):
        restore_range(retired.settings, [A, B], FIRST, LAST)
    assert retired.hot() == []
    assert (retired.versions(), retired.hash()) == (versions, hash_)
    assert restore_range(retired.settings, [A, B], FIRST, LAST) == 14
    assert retired.hot() == retired.versions() == versions
    assert retired.hash() == hash_
