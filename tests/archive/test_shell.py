"""`feature-store sql` over hot and archive: what retired is there, and S3 is asked for nothing else."""

import pytest

from feature_store.archive import open_history
from feature_store.errors import ArchiveError, QueryError
from feature_store.serving.shell import Shell

from .store import B, Point, Store

OLD, NEW, NOW = "2024-03-04", "2024-06-24", "2024-07-01"


@pytest.fixture
def retired(archive: Store) -> Store:
    """A feature whose old day lies in the archive alone, and one that is new."""
    archive.at(NOW)
    archive.append(
        Point(f"{OLD} 10:00", 1.0, meta={"of": 'it, "all"'}), Point(f"{NEW} 10:00", 2.0), Point(f"{NEW} 10:00", 3.0, B)
    )
    archive.commit_history()
    archive.retire()
    assert archive.retired() == {("t/a", OLD)}
    return archive


def asked(store: Store, statement: str, snapshot: str | None = None) -> list[tuple[object, ...]]:
    with Shell.open(store.settings, snapshot) as shell, shell.ask(statement) as answer:
        return [row for batch in answer.batches for row in zip(*batch.to_pydict().values(), strict=True)]


def test_values_and_versions_span_hot_and_archive(retired: Store) -> None:
    assert asked(retired, "select feature_id, value from features_values order by 1, 2") == [
        ("t/a", 1),
        ("t/a", 2),
        (B, 3),
    ]
    assert asked(retired, "select count(*), count(distinct ts) from features.features_versions") == [(3, 2)]
    assert asked(retired, f"select meta ->> 'of', grain from features_values where ts < '{NEW}'") == [
        ('it, "all"', "intraday")
    ]
    assert asked(retired, f"select value from features.as_of('{NOW}') where feature_id = 't/a' order by ts") == [
        (1,),
        (2,),
    ]
    joined = """select v.value, w.value from features_values as v join features_versions as w using (feature_id, ts)
                union all select value, null from features_values where feature_id = 't/a' order by 1, 2"""
    assert len(asked(retired, joined)) == 5, "tables that are read side by side"


def test_only_what_retired_is_asked_of_s3(retired: Store) -> None:
    retired.server.stop()
    hot = f"select value from features_values where feature_id = 't/a' and ts >= '{NEW}'"
    assert asked(retired, hot) == [(2,)]
    assert asked(retired, f"select value from features.as_of('{NOW}') where feature_id = '{B}'") == [(3,)]
    assert asked(retired, "select count(*) from features.latest") == [(2,)]
    for statement in ("select * from features_values", f"select max(value) from features_versions where ts < '{NEW}'"):
        with pytest.raises(ArchiveError, match="could not open the history"):
            asked(retired, statement)


def test_a_shell_outlives_statements_that_fail(retired: Store) -> None:
    with Shell.open(retired.settings) as shell:
        for wrong, told in {
            "select nonsense from features_values": "nonsense",
            "select * from nowhere": "nowhere does not exist",
            "delete from features.latest_values": "Can only delete from base table",
            "select 1 / 'x' from features_values": "Could not convert",
            "select (select value from features_values)": "More than one row",
        }.items():
            with pytest.raises(QueryError, match=told), shell.ask(wrong) as answer:
                list(answer.batches)
        retired.server.stop()
        with pytest.raises(ArchiveError), shell.ask("select * from features_values") as answer:
            list(answer.batches)
        retired.server.start()
        with shell.ask("select count(*) from features_values") as answer:
            assert next(answer.batches)[0].to_pylist() == [3]


def test_a_statement_sees_one_moment_and_the_next_the_one_after(retired: Store) -> None:
    with Shell.open(retired.settings) as shell:
        with shell.ask("select ops.now(), count(*) from features_values") as answer:
            retired.append(Point(f"{NEW} 11:00", 4.0))
            assert [row["count_star()"] for batch in answer.batches for row in batch.to_pylist()] == [3]
        with shell.ask("select count(*) as points, ops.now()::date::text as today from features_values") as answer:
            assert next(answer.batches).to_pylist() == [{"points": 4, "today": NOW}]


def test_a_named_snapshot_answers_as_it_did_and_has_nothing_that_changes(archive: Store) -> None:
    archive.at(NOW)
    archive.append(Point(f"{OLD} 10:00", 1.0), Point(f"{OLD} 10:00", 5.0, B, grain="daily"))
    archive.commit_history()
    with open_history(archive.settings) as history:
        history.name_snapshot("paper")
    archive.at("2024-08-01")
    archive.append(Point(f"{OLD} 10:00", 2.0, available_at="2024-07-20"), Point(f"{NEW} 10:00", 3.0))
    archive.commit_history()

    values = "select feature_id, grain, value from features_values order by 1"
    assert asked(archive, values, "paper") == [("t/a", "intraday", 1), (B, "daily", 5)]
    assert asked(archive, "select count(*) from features.features_versions", "paper") == [(2,)]
    assert asked(archive, f"select value from features.as_stored('{NOW} 00:01') order by 1", "paper") == [(1,), (5,)]
    for absent in ("select * from features.latest", f"select * from features.latest_as_of('{NOW}')"):
        with pytest.raises(QueryError, match="The snapshot 'paper' has features_values"):
            asked(archive, absent, "paper")
    with pytest.raises(ArchiveError, match="no snapshot 'papre'"):
        asked(archive, values, "papre")
