"""Months that are over are rewritten, files that nothing needs go, and nobody who reads is disturbed."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feature_store.archive import Tidied, open_history, open_versions, tidy_history
from feature_store.archive.history import FILE_ROWS, bundles
from feature_store.archive.tidying import KEPT, _groups
from feature_store.errors import ArchiveError
from feature_store.warehouse.versions import VERSIONS, digests

from .store import A, B, Point, Store, rows
from .store import table as table_of

LATER = "2024-07-01"
PAST = timedelta(minutes=-1)
"""Nothing is kept for those who still read it: all that a test wrote is older than in a minute."""


def tidy(store: Store, kept: timedelta = PAST) -> Tidied:
    return tidy_history(store.conn, store.settings, kept=kept)


def fill(store: Store, commits: int = 4) -> None:
    """Each commit adds to two months; the first of them also to a third."""
    store.append(Point("2024-01-31 23:59:59.999999", feature=B))
    for day in range(1, commits + 1):
        store.append(Point(f"2024-02-{day:02}", day), Point(f"2024-03-{day:02}", day, B), Point(f"2024-03-{day:02}"))
        store.commit_history()


def planned(store: Store) -> list[str]:
    """The files that a reader of everything reads."""
    with store.iceberg() as table:
        return [task.file.file_path for task in table.scan().plan_files()]


def data(store: Store) -> set[str]:
    """The files of rows that lie on S3, needed or not."""
    return {name for name in store.files() if name.endswith(".parquet")}


def test_months_that_are_over_come_to_lie_in_few_files_with_the_same_rows(archive: Store) -> None:
    fill(archive)
    before, held = archive.archived(), digested(archive)
    assert len(planned(archive)) == 9
    assert tidy(archive).months == 2
    assert len(planned(archive)) == 3, "one a month"
    assert archive.archived() == before == archive.hot()
    assert digested(archive) == held
    with archive.iceberg() as table:
        for task in table.scan().plan_files():
            stored = archive.get(task.file.file_path.removeprefix(f"{archive.settings.export_s3_uri}/"))
            order = [(row["feature_id"], row["ts"]) for row in table_of(stored).to_pylist()]
            assert order == sorted(order)


def digested(store: Store) -> dict[str, tuple[int, str]]:
    with open_history(store.settings) as history:
        return digests(history.read().read_all().cast(VERSIONS), [A, B])


def test_what_is_tidy_is_left_alone(archive: Store) -> None:
    fill(archive)
    tidy(archive)
    writes = archive.writes()
    assert tidy(archive) == Tidied(0, 0, 0)
    assert archive.writes() == writes


def test_the_month_that_goes_on_is_left_alone(archive: Store) -> None:
    archive.at("2024-03-31 23:59:59")
    early = [
        Point(f"2024-{month}-{day:02}", day, available_at="2024-03-20") for month in ("02", "03") for day in range(1, 5)
    ]
    for point in early:
        archive.append(point)
        archive.commit_history()
    assert tidy(archive).months == 1
    assert len(planned(archive)) == 1 + 4
    archive.at("2024-04-01")
    assert tidy(archive).months == 1
    assert len(planned(archive)) == 1 + 1
    assert archive.archived() == archive.hot()


def test_commits_go_on_after_a_rewriting_and_add_nothing_twice(archive: Store) -> None:
    fill(archive)
    tidy(archive)
    assert archive.commit_history() == 0
    archive.append(Point("2024-02-01", None, available_at=LATER))
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


def test_files_of_expired_commits_go_and_those_of_named_snapshots_stay(archive: Store) -> None:
    fill(archive, 2)
    with open_history(archive.settings) as history:
        history.name_snapshot("paper")
    paper = archive.archived()
    fill(archive, 4)
    before = data(archive)
    done = tidy(archive)
    assert (done.months, done.commits > 4, done.files > 8) == (2, True, True)
    assert {*planned(archive)} <= {f"{archive.settings.export_s3_uri}/{name}" for name in data(archive)}
    assert len(before - data(archive)) == 4, "the first two commits' files are the snapshot's"
    with open_versions(archive.settings, "paper") as versions:
        assert rows(versions.read().read_all()) == paper
    assert archive.archived() == archive.hot()

    with open_history(archive.settings) as history:
        history.drop_snapshot("paper")
    assert tidy(archive).months == 0
    assert len(data(archive)) == 3
    assert archive.archived() == archive.hot()


def test_young_commits_and_files_are_kept_for_those_who_still_read_them(archive: Store) -> None:
    fill(archive)
    with open_history(archive.settings) as history:
        before = data(archive)
        done = tidy(archive, KEPT)
        assert (done.months, done.commits, done.files) == (2, 0, 0)
        assert before <= data(archive)
        assert rows(history.read().read_all()) == archive.hot(), "a reader from before reads on"


def test_files_of_a_commit_that_died_go_and_nothing_else_does(archive: Store) -> None:
    fill(archive, 1)
    lain = data(archive)
    archive.append(Point("2024-02-01", 9, available_at=LATER))

    def die(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.commit_history(die)
    [orphan] = data(archive) - lain
    assert tidy(archive, KEPT).files == 0, "it may be of a commit that is still on its way"
    assert orphan in data(archive)
    tidy(archive)
    assert orphan not in data(archive)
    assert lain == data(archive)
    assert archive.commit_history() == 1
    assert archive.archived() == archive.hot()


@given(counts=st.lists(st.integers(1, 2 * FILE_ROWS), max_size=20))
@example(counts=[1, FILE_ROWS + 1] * 3)
def test_a_file_s_worth_of_features_at_a_time_is_rewritten(counts: list[int]) -> None:
    of = {f"t/{number:02}": count for number, count in enumerate(counts)}
    found = pa.array([{"values": name, "counts": count} for name, count in reversed(of.items())])
    groups = list(_groups(found))
    assert [name for group in groups for name in group] == sorted(of), "each once, in order"
    sizes = [sum(of[name] for name in group) for group in groups]
    assert all(size <= FILE_ROWS or len(group) == 1 for size, group in zip(sizes, groups, strict=True))
    read = [pa.record_batch([pa.nulls(size)], ["row"]) for size in sizes]
    files = list(bundles(pa.RecordBatchReader.from_batches(pa.schema([("row", pa.null())]), read)))
    assert sum(file.num_rows for file in files) == sum(counts)
    assert all(file.num_rows <= FILE_ROWS for file in files)
    assert len(files) <= 2 * -(-sum(counts) // FILE_ROWS), "what was rewritten is tidy"


def test_only_the_folder_of_the_history_is_swept(archive: Store) -> None:
    fill(archive, 1)
    archive.export()
    client = archive.server.s3.client()
    beside = ["_payloads/x/aa/b.zst", "_history_of_others/data/x.parquet", "_history.txt"]
    for name in beside:
        client.put_object(Bucket=archive.bucket, Key=archive.folder + name, Body=b"x")
    lain = {name for name in archive.files() if not name.startswith("_history/")}
    tidy(archive)
    assert {name for name in archive.files() if not name.startswith("_history/")} == lain
    assert {*beside} <= lain


def test_a_rewriting_that_dies_changes_nothing(archive: Store) -> None:
    fill(archive)
    before, files = archive.archived(), planned(archive)
    with archive.dying("ops.iceberg_tables", "update"), pytest.raises(ArchiveError, match="catalog in the database"):
        tidy(archive)
    assert (archive.archived(), planned(archive)) == (before, files)
    assert tidy(archive).months == 2
    assert archive.archived() == before
    assert len(data(archive)) == 3, "the files that it left are swept"


def test_a_rewriting_that_dies_between_two_months_is_gone_on_with(archive: Store) -> None:
    fill(archive)
    before = archive.archived()
    archive.conn.execute("create sequence ops.commits")
    archive.conn.commit()
    # The second commit of the run: the first month was rewritten by then.
    with archive.dying("ops.iceberg_tables", "update", "nextval('ops.commits') > 1"), pytest.raises(ArchiveError):
        tidy(archive)
    archive.conn.execute("drop sequence ops.commits")
    archive.conn.commit()
    assert len(planned(archive)) == 6
    assert archive.archived() == before
    assert tidy(archive).months == 1
    assert archive.archived() == before


def test_a_history_that_is_not_there_is_tidy(archive: Store) -> None:
    assert tidy(archive) == Tidied()
