"""One hash over what is known, of all features or of some, wherever it lies."""

from feature_store.archive.content import content_hash
from feature_store.archive.restore import restore_range

from .store import A, B, Point, Store, instant

MONDAY, TUESDAY = "2024-03-04", "2024-03-05"


def test_a_hash_of_some_features_changes_with_them_alone(archive: Store) -> None:
    archive.append(Point(MONDAY), Point(MONDAY, feature=B))
    every, of_a, of_b = (content_hash(archive.settings, features=chosen) for chosen in (None, [A], [B]))
    assert len({every, of_a, of_b}) == 3
    assert content_hash(archive.settings, features=[B, A]) == every
    assert content_hash(archive.settings, features=[]) not in {every, of_a, of_b}

    archive.append(Point(MONDAY, 2, B, available_at="2024-07-01"))
    assert content_hash(archive.settings, features=[A]) == of_a
    assert content_hash(archive.settings, features=[B]) != of_b


def test_a_hash_as_of_an_instant_does_not_change_with_what_came_later(archive: Store) -> None:
    archive.append(Point(MONDAY))
    known, before = archive.hash(), content_hash(archive.settings, instant("2024-05-31"))
    archive.append(Point(MONDAY, None, available_at="2024-07-01"), Point(TUESDAY, available_at="2024-07-01"))
    assert content_hash(archive.settings, instant("2024-06-30")) == known
    assert len({known, before, archive.hash()}) == 3, "a withdrawn point is content too"


def test_it_makes_no_difference_where_versions_lie(archive: Store) -> None:
    archive.append(Point(f"{MONDAY} 01:00"), Point(f"{MONDAY} 02:00", version=2), Point(TUESDAY, feature=B))
    archive.append(Point(f"{MONDAY} 01:00", None, available_at="2024-07-01"), Point(TUESDAY, 3, feature=B))
    instants = [None, instant("2024-06-15"), instant("2024-06-01")]
    hot = [content_hash(archive.settings, at) for at in instants]
    assert archive.retire().versions == 5
    assert archive.hot() == []
    assert [content_hash(archive.settings, at) for at in instants] == hot
    restore_range(archive.settings, [A], instant(MONDAY).date(), instant(MONDAY).date())
    assert len(archive.hot()) == 3
    assert [content_hash(archive.settings, at) for at in instants] == hot
