"""Old days leave the database once the history was found to hold them: nothing is lost, whatever happens on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import psycopg
import pytest
from pyiceberg.expressions import EqualTo

from feature_store.archive import commit_history, retire
from feature_store.archive.restore import restore
from feature_store.archive.retention import look_back
from feature_store.catalog import load_catalog
from feature_store.errors import ArchiveError
from feature_store.pipeline.late import restore_for_candidates

from .killed import Step, at_table
from .store import COLUMNS, A, B, Point, Store, instant, key
from .store import table as table_of

NOW = "2024-06-10"
MONDAY, TUESDAY = "2024-03-04", "2024-03-05"
YOUNG = "2024-05-20"
"""Days are kept for thirty."""
OF_MONDAY, OF_TUESDAY = date(2024, 3, 4), date(2024, 3, 5)


@pytest.fixture
def old(archive: Store) -> Store:
    """Two features on two old days and on a young one, a revision and a withdrawal, and a daily feature."""
    archive.at(NOW)
    archive.append(
        *(
            Point(f"{day} {hour:02}:00", hour, feature)
            for day in (MONDAY, TUESDAY)
            for hour in (1, 2)
            for feature in (A, B)
        ),
        Point(YOUNG),
        Point(MONDAY, 7, "t/daily", grain="daily"),
    )
    archive.append(Point(f"{MONDAY} 01:00", 9, available_at="2024-06-02"), Point(f"{MONDAY} 02:00", None, B))
    archive.append(Point(f"{MONDAY} 02:00", None, B, available_at="2024-06-03"))
    return archive


def days_of(rows: list[tuple[object, ...]]) -> set[str]:
    return {f"{row[2]:%Y-%m-%d}" for row in rows}


def test_old_days_leave_the_database_and_every_version_stays(old: Store) -> None:
    versions, hash_ = old.versions(), old.hash()
    done = old.retire()
    assert (done.days, done.left, done.reattached) == ([OF_MONDAY, OF_TUESDAY], {}, {})
    assert done.versions == len(versions) - 2
    assert days_of(old.hot()) == {YOUNG, MONDAY}, "the young day, and the daily feature's"
    assert old.versions() == versions
    assert old.hash() == hash_
    assert old.retired() == {(feature, day) for feature in (A, B) for day in (MONDAY, TUESDAY)}
    assert not [name for name in old.tables() if name.endswith(("20240304", "20240305"))]


def test_what_is_retired_is_retired_once(old: Store) -> None:
    old.retire()
    writes = old.writes()
    again = old.retire()
    assert (again.days, again.versions) == ([], 0)
    assert old.writes() == writes


def test_the_files_of_retired_days_stay_as_they_are(old: Store) -> None:
    old.export()
    files = {name: content for name, content in old.files().items() if "dt=" in name}
    old.retire()
    assert {name: content for name, content in old.files().items() if "dt=" in name} == files
    old.mark_all()
    old.export()
    assert {name: content for name, content in old.files().items() if "dt=" in name} == files, "made of the history"


def test_a_dry_run_tells_and_changes_nothing(old: Store) -> None:
    versions, tables = old.hot(), old.tables()
    told = old.retire(dry_run=True)
    assert (told.days, told.versions) == ([OF_MONDAY, OF_TUESDAY], len(versions) - 2)
    assert (old.hot(), old.tables(), old.archived(), old.retired()) == (versions, tables, [], set())
    assert old.retire().days == told.days


def test_a_day_that_is_not_exported_yet_stays(old: Store) -> None:
    done = retire(old.conn, old.settings, load_catalog())
    assert done.left == {OF_MONDAY: "not exported yet", OF_TUESDAY: "not exported yet"}
    assert len(old.hot()) == len(old.versions())
    assert "2 not exported yet" in str(done)
    assert len(old.retire().days) == 2


def test_a_day_that_somebody_reads_stays_until_the_next_run(old: Store) -> None:
    old.export()
    with psycopg.connect(old.settings.postgres_dsn) as reader:
        reader.execute("select count(*) from features.features_versions_intraday_20240304")
        done = retire(old.conn, old.settings, load_catalog())
        assert done.left[OF_MONDAY] == "busy"
        assert (A, MONDAY) not in old.retired()
    assert OF_MONDAY in old.retire().days


def test_a_version_that_comes_after_the_history_was_brought_up_to_date_keeps_its_day(old: Store) -> None:
    old.export()
    with psycopg.connect(old.settings.postgres_dsn, options="-c timezone=UTC") as conn:
        late = old.beside(conn)
        late.append(Point(f"{MONDAY} 05:00"), commit=False)
        commit_history(old.conn, old.settings)
        conn.commit()
    old.export()
    row = old.conn.execute(
        "select features.detach_day(%s, (select done_xid from ops.watermarks where consumer = 'history'), '{}')",
        (OF_MONDAY,),
    ).fetchone()
    old.conn.rollback()
    assert row == ("not in the history yet",)


@pytest.mark.parametrize("lost", ["a feature of the day", "one version"])
def test_a_day_that_the_history_does_not_hold_is_put_back_and_named(old: Store, lost: str) -> None:
    old.export()
    old.commit_history()
    versions, tables = old.hot(), old.tables()
    with old.iceberg() as table:
        gone = EqualTo("feature_id", B) if lost == "a feature of the day" else EqualTo("value", 9.0)
        table.delete(gone)
    with pytest.raises(ArchiveError, match=r"2024-03-04: 1 of 2 features, t/. with \d versions here and \d there"):
        old.retire()
    assert [row for row in old.hot() if row[2] < instant(TUESDAY)] == [
        row for row in versions if row[2] < instant(TUESDAY)
    ]
    assert {name for name in tables if name.endswith("20240304")} <= old.tables()
    assert (A, MONDAY) not in old.retired()
    assert (A, TUESDAY) in old.retired() or lost == "a feature of the day", "the other day has nothing to do with it"


def test_while_s3_is_away_nothing_leaves_and_the_next_run_completes_it(old: Store) -> None:
    versions = old.hot()
    old.export()
    old.server.stop()
    with pytest.raises(ArchiveError, match=old.settings.s3_url):
        retire(old.conn, old.settings, load_catalog())
    assert old.hot() == versions
    old.server.start()
    assert len(old.retire().days) == 2
    assert old.versions() == versions


def at_command(tag: str, nth: int = 1) -> Step:
    """A step that dies at the nth command of that kind that the database runs."""

    @contextmanager
    def step(store: Store) -> Iterator[None]:
        store.conn.execute(
            f"""create sequence ops.commands;
                create function ops.stop() returns event_trigger language plpgsql as $$
                begin if nextval('ops.commands') >= {nth} then raise 'killed'; end if; end $$;
                create event trigger stop on ddl_command_start when tag in ('{tag}') execute function ops.stop()"""
        )
        store.conn.commit()
        try:
            yield
        finally:
            store.conn.rollback()
            store.conn.execute("alter event trigger stop disable")
            store.conn.execute("drop event trigger stop")
            store.conn.execute("drop function ops.stop")
            store.conn.execute("drop sequence ops.commands")
            store.conn.commit()

    return step


STEPS = {
    "before anything is detached": at_command("ALTER TABLE"),
    "between versions and values": at_command("ALTER TABLE", 2),
    "while the second day is detached": at_command("ALTER TABLE", 6),
    "while it is noted as retired": at_table("ops.retired_days", "insert"),
    "when it was compared": at_table("ops.retired_days", "update"),
    "while it is dropped": at_command("DROP TABLE"),
    "while the second day is dropped": at_command("DROP TABLE", 2),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_retention_that_is_killed_loses_nothing_and_the_next_run_completes_it(old: Store, step: Step) -> None:
    versions, hash_ = old.versions(), old.hash()
    old.export()
    with step(old), pytest.raises(psycopg.errors.RaiseException, match="killed"):
        retire(old.conn, old.settings, load_catalog())
    old.conn.rollback()
    assert old.versions() == versions, "wherever it stopped, a day is in one of both"
    assert old.hash() == hash_
    old.retire()
    assert old.retired() == {(feature, day) for feature in (A, B) for day in (MONDAY, TUESDAY)}
    assert not [name for name in old.tables() if name.startswith("retiring")]
    assert old.versions() == versions
    assert old.hash() == hash_


def test_what_is_published_into_a_day_that_stands_aside_is_kept(old: Store) -> None:
    old.export()
    with at_table("ops.retired_days", "update")(old), pytest.raises(psycopg.errors.RaiseException, match="killed"):
        retire(old.conn, old.settings, load_catalog())
    old.conn.rollback()
    old.append(Point(f"{MONDAY} 03:00", 3, "t/other"))
    versions = old.versions()
    assert ("t/other", MONDAY) not in old.retired()
    old.retire()
    assert old.versions() == versions
    assert ("t/other", MONDAY) in old.retired()


def test_nobody_writes_to_a_retired_day_without_seeing_it(old: Store) -> None:
    old.retire()
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="t/a on 2024-03-04"):
        old.append(Point(f"{MONDAY} 01:00", 5, available_at="2024-06-05"))
    old.conn.rollback()


def test_a_revision_of_a_retired_day_is_kept_reaches_the_history_and_its_file_is_whole(old: Store) -> None:
    old.retire()
    before = old.versions()
    revision = Point(f"{MONDAY} 02:00", 5, available_at="2024-06-05")
    _as_candidates(old, revision, Point(YOUNG, 2, available_at="2024-06-05"))
    assert restore_for_candidates(old.conn, old.settings) is None
    assert old.versions() == before
    old.conn.execute("select features.append_versions('features.candidates')")
    old.conn.commit()
    assert len(old.versions()) == len(before) + 2
    old.export()
    file = table_of(old.get(key(MONDAY)))
    assert file["value"].to_pylist() == [9.0, 5.0], "the point of one o'clock is there too"
    assert old.commit_history() == 2
    versions = old.versions()
    assert old.retire().days == [OF_MONDAY]
    assert old.versions() == versions == sorted(versions, key=lambda row: row[:2])
    assert len(old.archived()) == len(versions)


def test_while_s3_is_away_late_news_waits_and_the_rest_goes_on(old: Store) -> None:
    old.retire()
    _as_candidates(
        old, Point(f"{MONDAY} 02:00", 5, available_at="2024-06-05"), Point(YOUNG, 2, available_at="2024-06-05")
    )
    old.server.stop()
    assert isinstance(restore_for_candidates(old.conn, old.settings), ArchiveError)
    left = old.conn.execute("select ts::date::text from features.candidates").fetchall()
    old.conn.commit()
    assert left == [(YOUNG,)]
    old.server.start()


def _as_candidates(store: Store, *points: Point) -> None:
    store.conn.execute("drop table if exists features.candidates")
    store.conn.execute(f"create table features.candidates ({COLUMNS})")
    with store.conn.cursor().copy("copy features.candidates from stdin") as copy:
        for point in points:
            copy.write_row(point.row())
    store.conn.commit()


def test_what_seasonal_adjustment_looks_back_at_stays(old: Store) -> None:
    seasonal = "cex/binance/btcusdt_volume_usd"
    catalog = load_catalog()
    assert look_back(catalog)[seasonal] > timedelta(days=73)
    recent = "2024-04-20"
    old.append(Point(f"{recent} 01:00", feature=seasonal), Point(f"{recent} 01:00"))
    versions = old.versions()
    old.retire()
    assert (A, recent) in old.retired()
    assert (seasonal, recent) not in old.retired()
    assert (seasonal, recent) in {(row[0], f"{row[2]:%Y-%m-%d}") for row in old.hot()}
    assert old.versions() == versions


def test_a_restored_day_stays_as_long_as_a_new_one(old: Store) -> None:
    old.retire()
    restore(old.settings, {(A, OF_MONDAY)}, keep=True)
    assert old.retire().days == []
    assert (A, MONDAY) not in old.retired()
    old.at("2024-07-11")
    assert OF_MONDAY in old.retire().days
