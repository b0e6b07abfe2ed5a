"""Assessments apply to what has retired, and neither files nor snapshots change by them."""

import pytest

from feature_store.archive import Exported, open_history
from feature_store.errors import QualityError
from feature_store.quality.assessments import Assessment, assess
from feature_store.serving.shell import Shell
from feature_store.warehouse.assessments import ASSESSMENTS
from tests.serving.answers import of_shell

from .store import A, Point, Store, instant

NOW, OLD = "2024-06-10", "2024-03-04"
CONFIDENCE = "select confidence from features.as_stored('infinity')"


@pytest.fixture
def old(archive: Store) -> Store:
    """One point, long ago."""
    archive.at(NOW)
    archive.append(Point(OLD))
    return archive


def say(store: Store, confidence: float) -> int:
    """Assess the point."""
    said = Assessment(A, 1, instant(OLD), instant("2024-06-01"), instant(NOW), confidence, {"agreement": 0.5})
    appended = assess(store.conn, "test", [said])
    store.conn.commit()
    return appended


def test_an_export_after_an_assessment_looks_at_nothing_and_the_file_has_the_confidence_at_ingest(old: Store) -> None:
    assert old.export().written == 1
    files = old.files()
    say(old, 0.5)
    assert old.export() == Exported()
    assert old.dirty() == set()
    old.mark_all()
    assert old.export().unchanged == 1
    assert old.files() == files


def test_what_was_said_of_a_version_holds_when_it_retires_and_may_be_said_otherwise_then(old: Store) -> None:
    say(old, 0.5)
    old.retire()
    assert old.hot() == []
    with Shell.open(old.settings) as shell:
        assert of_shell(shell, CONFIDENCE) == [(0.5,)]
        assert say(old, 0.25) == 1
        assert of_shell(shell, CONFIDENCE) == [(0.25,)]


def test_a_retired_version_of_which_nothing_was_said_has_to_come_back_first(old: Store) -> None:
    old.retire()
    with pytest.raises(QualityError, match="feature-store archive restore"):
        say(old, 0.5)


def test_a_snapshot_keeps_the_confidence_at_ingest(old: Store) -> None:
    old.commit_history()
    with open_history(old.settings) as history:
        history.name_snapshot("paper")
    say(old, 0.5)
    with Shell.open(old.settings, "paper") as shell:
        assert of_shell(shell, CONFIDENCE) == [(0.97,)]
        assert of_shell(shell, "select * from quality.confidence") == []
    with open_history(old.settings) as history:
        assert history.at("paper").assessments(A) == ASSESSMENTS.empty_table()
