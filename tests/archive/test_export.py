"""What S3 holds follows the points: only what changed is written, once, and nothing is missed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from feature_store import clock
from feature_store.archive import Exported, export
from feature_store.archive.s3 import open_bucket
from feature_store.errors import ArchiveError

from .killed import Killed, Step, at_call, at_table
from .store import A, B, Point, Store, instant, key, table

MONDAY, TUESDAY, WEDNESDAY = "2024-03-04", "2024-03-05", "2024-03-06"
LATER = "2024-07-01"


def test_a_feature_and_a_utc_day_make_one_file_and_nothing_else_lies_there(store: Store) -> None:
    store.append(
        Point(f"{MONDAY} 00:00", 1), Point(f"{MONDAY} 23:59:59.999999", 2), Point(f"{TUESDAY} 00:00", 3),
        Point(f"{MONDAY} 12:00", 4, B),
    )  # fmt: skip
    done = store.export()
    assert (done.written, done.rows, done.days) == (3, 4, 3)
    assert store.values() == {key(MONDAY): [1, 2], key(TUESDAY): [3], key(MONDAY, B): [4]}
    assert store.dirty() == set()


def test_points_far_apart_are_all_exported(store: Store) -> None:
    days = ["1970-01-01", "2019-12-31", MONDAY, "2024-05-07", "2024-05-08"]
    store.append(*(Point(day, index) for index, day in enumerate(days)))
    store.export()
    assert store.values() == {key(day): [index] for index, day in enumerate(days)}


def test_a_file_is_written_once_tagged_and_encrypted(store: Store) -> None:
    store.append(Point(MONDAY))
    store.export()
    client = store.server.s3.client()
    assert client.get_object_tagging(Bucket=store.bucket, Key=key(MONDAY))["TagSet"] == [
        {"Key": "layer", "Value": "export"}
    ]
    assert client.head_object(Bucket=store.bucket, Key=key(MONDAY))["ServerSideEncryption"] == "AES256"
    assert store.writes() == {key(MONDAY): 1}


def test_only_days_that_changed_are_written(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY), Point(MONDAY, feature=B))
    store.export()
    assert store.export().days == 0, "nothing changed, nothing is looked at"
    store.append(Point(TUESDAY, 2, available_at=LATER))
    assert store.export().written == 1
    assert store.writes() == {key(MONDAY): 1, key(TUESDAY): 2, key(MONDAY, B): 1}


def test_a_dirty_day_with_the_same_points_is_not_written_again(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    store.export()
    store.mark_all()
    done = store.export()
    assert (done.written, done.unchanged) == (0, 2)
    assert store.dirty() == set()
    assert set(store.writes().values()) == {1}


def test_the_same_points_give_the_same_bytes(store: Store) -> None:
    points = [Point(f"{MONDAY} {hour:02}:00", hour / 7, meta={"b": hour, "a": "ü"}) for hour in range(24)]
    clock.freeze(store.conn, instant(LATER))
    store.append(*points)
    store.export()
    before, ledger = store.files(), store.ledger()
    store.conn.execute(
        "truncate features.features_versions, features.features_values, features.latest_values, ops.feature_writes, "
        "ops.exported_files"
    )
    store.append(*points[12:])
    clock.freeze(store.conn, instant(LATER))
    store.conn.execute("update ops.feature_writes set last_ingested_at = null")
    store.append(*points[:12])
    store.export()
    assert store.writes() == {key(MONDAY): 2}
    assert (store.files(), store.ledger()) == (before, ledger)


def test_a_changed_compression_rewrites_nothing_until_a_day_changes(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    store.export()
    assert store.export(FEATURE_STORE_PARQUET_COMPRESSION="zstd").days == 0
    store.append(Point(TUESDAY, 2, available_at=LATER))
    store.export(FEATURE_STORE_PARQUET_COMPRESSION="zstd")
    assert store.writes() == {key(MONDAY): 1, key(TUESDAY): 2}


def test_a_withdrawn_point_leaves_its_file_and_a_day_without_points_has_none(store: Store) -> None:
    store.append(Point(f"{MONDAY} 01:00", 1), Point(f"{MONDAY} 02:00", 2), Point(TUESDAY))
    store.export()
    store.append(Point(f"{MONDAY} 01:00", None, available_at=LATER), Point(TUESDAY, None, available_at=LATER))
    done = store.export()
    assert (done.written, done.removed) == (1, 1)
    assert store.values() == {key(MONDAY): [2]}
    assert store.markers() == {key(TUESDAY)}
    assert [row[1] for row in store.ledger()] == [MONDAY]
    store.append(Point(TUESDAY, 5, available_at="2024-08-01"))
    store.export()
    assert store.values() == {key(MONDAY): [2], key(TUESDAY): [5]}


def test_a_day_that_never_had_a_file_leaves_no_delete_marker(store: Store) -> None:
    store.append(Point(MONDAY))
    store.append(Point(MONDAY, None, available_at=LATER))
    assert store.export().removed == 1
    assert store.markers() == set()
    assert store.dirty() == set()


def test_days_that_only_an_older_definition_had_lose_their_files(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    store.export()
    store.append(Point(TUESDAY, 7, version=2))
    store.export()
    assert store.values() == {key(TUESDAY): [7]}


def test_evidence_names_the_answer_and_not_where_its_bytes_lie(store: Store) -> None:
    store.conn.execute("insert into raw.payloads (sha256, content, size_bytes) values (%s, '', 1)", ("a" * 64,))
    twice = store.conn.execute(
        """insert into raw.fetches (source, stream, endpoint, url, sha256, fetched_at)
           select 'fred', 'observations', '/o', 'https://x.test/o?id=ü&api_key=REDACTED', %s, '2024-03-04 05:06:07.08'
           from generate_series(1, 2) returning fetch_id""",
        ("a" * 64,),
    ).fetchall()
    (one,), (same,) = twice
    inputs = {"feature_id": "t/x", "ts": MONDAY}
    store.append(
        Point(f"{MONDAY} 01:00", evidence=[{"fetch": one}]),
        Point(f"{MONDAY} 02:00", evidence=[inputs, {"fetch": one}]),
        Point(f"{MONDAY} 03:00"),
        Point(f"{MONDAY} 04:00", evidence=[{"fetch": same}]),
    )
    store.export()
    ref = {
        "source": "fred",
        "url": "https://x.test/o?id=ü&api_key=REDACTED",
        "fetchedAt": "2024-03-04T05:06:07.080000Z",
        "sha256": "a" * 64,
    }
    evidence = table(store.get(key(MONDAY)))["evidence"].to_pylist()
    assert [json.loads(text) for text in evidence] == [[ref], [inputs, ref], [], [ref]]


def test_all_files_of_an_export_are_of_one_instant(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY, feature=B))
    tuesday = "features.features_values_intraday_20240305"
    with ThreadPoolExecutor(1) as pool:
        store.conn.execute(f"lock table {tuesday} in access exclusive mode")
        running = pool.submit(store.export)  # reads Monday and waits for Tuesday
        wait_until_it_waits_for(tuesday, store, running)
        store.append(Point(MONDAY, 2, available_at=LATER), Point(TUESDAY, 2, B, available_at=LATER))
        assert running.result().written == 2
    assert store.values() == {key(MONDAY): [1], key(TUESDAY, B): [1]}
    assert store.dirty() == {(A, MONDAY), (B, TUESDAY)}


def test_a_day_written_to_during_an_export_stays_dirty(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    with held_at_the_ledger(store) as running:
        store.append(Point(TUESDAY, 2, available_at=LATER), Point(WEDNESDAY, 3))
    assert running().written == 2
    assert store.values() == {key(MONDAY): [1], key(TUESDAY): [1]}
    assert store.dirty() == {(A, TUESDAY), (A, WEDNESDAY)}
    store.export()
    assert store.values() == {key(MONDAY): [1], key(TUESDAY): [2], key(WEDNESDAY): [3]}


def test_a_writer_in_mid_transaction_neither_holds_the_export_up_nor_is_missed(store: Store, dsn: str) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        store.beside(conn).append(Point(TUESDAY, 2, available_at=LATER), commit=False)
        assert store.export().written == 2
        assert store.dirty() == {(A, TUESDAY)}
        conn.commit()
    store.export()
    assert store.values() == {key(MONDAY): [1], key(TUESDAY): [2]}
    assert store.dirty() == set()


def test_an_export_that_dies_between_file_and_ledger_is_made_good_by_the_next(store: Store) -> None:
    store.append(Point(MONDAY))
    with held_at_the_ledger(store) as running:
        store.conn.execute(
            """select pg_terminate_backend(pid) from pg_locks
               where relation = 'ops.exported_files'::regclass and not granted"""
        )
    with pytest.raises(psycopg.OperationalError):
        running()
    assert (store.values(), store.ledger()) == ({key(MONDAY): [1]}, [])
    assert store.dirty() == {(A, MONDAY)}
    store.append(Point(MONDAY, None, available_at=LATER))
    store.export()
    assert (store.files(), store.dirty()) == ({}, set()), "a file that the ledger never knew goes too"


STEPS = {
    "before the first file": at_call("before-call.s3.PutObject", survived=0),
    "after a file": at_call("after-call.s3.PutObject", survived=5),
    "while files are noted": at_table("ops.exported_files", "insert or update"),
    "while days become clean": at_table("ops.dirty_days", "delete"),
    "when a day has no points any more": at_call("after-call.s3.DeleteObject", survived=0),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_an_export_that_is_killed_loses_nothing_and_the_next_one_completes_it(store: Store, step: Step) -> None:
    days = [f"2024-03-{day:02}" for day in range(1, 29)]
    store.append(*(Point(day, 1) for day in days))
    store.export()
    store.append(*(Point(day, 2, available_at=LATER) for day in days[1:]), Point(days[0], None, available_at=LATER))
    with step(store), pytest.raises((Killed, psycopg.errors.RaiseException)):
        export(store.conn, store.settings)
    store.conn.rollback()
    assert store.dirty(), "what was not noted stays dirty"
    store.export()
    assert store.values() == {key(day): [2.0] for day in days[1:]}
    assert [row[1] for row in store.ledger()] == days[1:]
    assert store.dirty() == set()


def test_two_exports_at_once_write_each_file_once(store: Store) -> None:
    store.append(*(Point(f"2024-03-{day:02}", day) for day in range(1, 29)))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: store.export().written, range(2)))
    assert sum(done) == 28
    assert set(store.writes().values()) == {1}


def test_while_s3_is_away_days_stay_dirty_and_the_next_run_catches_up(store: Store) -> None:
    store.append(*(Point(f"2024-03-{day:02}", day) for day in range(1, 29)))
    store.server.stop()
    with pytest.raises(ArchiveError, match=rf"{store.settings.s3_url} could not write.*make up.*catches up"):
        store.export()
    assert len(store.dirty()) == 28
    store.server.start()
    assert store.export().written == 28
    assert store.dirty() == set()


def test_what_arrived_before_a_failure_is_noted(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY, feature="t/../b"))  # a key that S3 does not take
    with pytest.raises(ArchiveError):
        store.export()
    assert [row[1] for row in store.ledger()] == [MONDAY]
    assert store.dirty() == {("t/../b", TUESDAY)}
    assert store.values() == {key(MONDAY): [1]}


def test_a_missing_bucket_is_named_with_the_command_that_makes_it(store: Store) -> None:
    store.append(Point(MONDAY))
    with pytest.raises(ArchiveError, match=r"no bucket not-there at http.*archive setup"):
        store.export(FEATURE_STORE_EXPORT_S3_URI="s3://not-there")
    assert store.dirty() == {(A, MONDAY)}


def test_at_a_changed_uri_everything_is_written(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    store.export()
    moved = f"{store.settings.export_s3_uri}/elsewhere"
    assert store.export(FEATURE_STORE_EXPORT_S3_URI=moved).written == 2
    assert f"elsewhere/{key(MONDAY)}" in store.files()
    assert store.export(FEATURE_STORE_EXPORT_S3_URI=moved).days == 0


def test_progress_is_told_in_days(store: Store) -> None:
    store.append(Point(MONDAY), Point(TUESDAY))
    told: list[tuple[int, int]] = []
    with psycopg.connect(store.settings.postgres_dsn) as conn:
        export(conn, store.settings, lambda *days: told.append(days))
    assert told == [(2, 2)]


def test_no_secret_of_the_server_shows(store: Store) -> None:
    assert store.server.s3.secret_key not in repr(open_bucket(store.settings)) + repr(store.settings)


@contextmanager
def held_at_the_ledger(store: Store) -> Iterator[Callable[[], Exported]]:
    """Run an export, and the block once it has written its files and wants to note them; then let it go on."""
    with psycopg.connect(store.settings.postgres_dsn) as gate, ThreadPoolExecutor(1) as pool:
        gate.execute("lock table ops.exported_files in share mode")
        running = pool.submit(store.export)
        wait_until_it_waits_for("ops.exported_files", store, running)
        yield running.result
        gate.rollback()


def wait_until_it_waits_for(table: str, store: Store, running: Future[Exported]) -> None:
    waits = "select exists (select from pg_locks where relation = %s::regclass and not granted)"
    with psycopg.connect(store.settings.postgres_dsn, autocommit=True) as watch:
        while watch.execute(waits, (table,)).fetchone() == (False,):
            assert not running.done()
