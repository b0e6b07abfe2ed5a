"""A named snapshot gives the same answer for good."""

import pytest

from feature_store.archive import open_history, open_versions
from feature_store.errors import ArchiveError, Overtaken

from .store import B, Point, Row, Store, rows

MONDAY, TUESDAY = "2024-03-04", "2024-03-05"
LATER = "2024-07-01"


def name(store: Store, snapshot: str) -> int:
    """Name the newest commit; returns how many versions it has."""
    with open_history(store.settings) as history:
        return history.name_snapshot(snapshot).versions


def read(store: Store, snapshot: str) -> list[Row]:
    with open_versions(store.settings, snapshot) as versions:
        return rows(versions.read().read_all())


def names(store: Store) -> list[tuple[str, int]]:
    with open_history(store.settings) as history:
        return [(snapshot.name, snapshot.versions) for snapshot in history.snapshots()]


def test_a_snapshot_reads_the_same_whatever_comes_later(archive: Store) -> None:
    archive.append(Point(MONDAY), Point(TUESDAY, 2, B))
    archive.commit_history()
    first = archive.hot()
    assert name(archive, "research 2026-11") == 2
    archive.append(Point(MONDAY, None, available_at=LATER))
    archive.commit_history()
    assert name(archive, "paper") == 3
    archive.retire()
    assert names(archive) == [("research 2026-11", 2), ("paper", 3)]
    assert read(archive, "research 2026-11") == first
    assert read(archive, "paper") == archive.versions()
    with open_versions(archive.settings, "research 2026-11") as versions:
        assert versions.read([B]).read_all().num_rows == 1
        assert len(versions.features()) == 2


def test_it_holds_what_is_in_the_history_and_not_what_is_only_in_postgres(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    archive.append(Point(TUESDAY))
    assert name(archive, "now") == 1
    assert len(read(archive, "now")) == 1


def test_a_dropped_snapshot_is_gone_and_its_name_is_free(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    name(archive, "paper")
    with open_history(archive.settings) as history:
        history.drop_snapshot("paper")
    assert names(archive) == []
    archive.append(Point(TUESDAY))
    archive.commit_history()
    assert name(archive, "paper") == 2
    assert len(read(archive, "paper")) == 2


def test_an_unknown_name_is_told_with_those_there_are(archive: Store) -> None:
    archive.append(Point(MONDAY))
    with open_history(archive.settings) as history, pytest.raises(ArchiveError, match="'x'; there are: none yet"):
        history.at("x")
    archive.commit_history()
    name(archive, "paper")
    with open_history(archive.settings) as history:
        for wrong in ("x", "main", ""):
            with pytest.raises(ArchiveError, match=f"no snapshot '{wrong}'; there are: paper"):
                history.at(wrong)
            with pytest.raises(ArchiveError, match=f"no snapshot '{wrong}'; there are: paper"):
                history.drop_snapshot(wrong)
    with pytest.raises(ArchiveError, match="no snapshot 'x'"), open_versions(archive.settings, "x"):
        pass


@pytest.mark.parametrize("taken", ["paper", "main"])
def test_a_taken_name_is_refused(archive: Store, taken: str) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    name(archive, "paper")
    archive.append(Point(TUESDAY))
    archive.commit_history()
    with pytest.raises(ArchiveError, match=f"'{taken}' already"):
        name(archive, taken)
    assert names(archive) == [("paper", 1)]


@pytest.mark.parametrize("wrong", ["", " ", "\n"])
def test_a_name_has_to_have_letters(archive: Store, wrong: str) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    with pytest.raises(ArchiveError, match="needs a name"):
        name(archive, wrong)
    assert names(archive) == []


def test_of_two_who_take_a_name_at_once_one_is_told(archive: Store) -> None:
    archive.append(Point(MONDAY))
    archive.commit_history()
    with open_history(archive.settings) as history:
        name(archive, "paper")
        with pytest.raises(Overtaken, match="could not name a snapshot of the history"):
            history.name_snapshot("paper")
    with open_history(archive.settings) as history:
        with open_history(archive.settings) as first:
            first.drop_snapshot("paper")
        with pytest.raises(Overtaken, match="could not drop a snapshot of the history"):
            history.drop_snapshot("paper")


def test_an_empty_history_has_nothing_to_name(archive: Store) -> None:
    with pytest.raises(ArchiveError, match=r"the history is empty.*archive history"):
        name(archive, "paper")
    assert names(archive) == []
