"""Bytes leave the database only when S3 has them, and are read from wherever they lie."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256

import psycopg
import pytest

from feature_store.archive import move_payloads, read_payload
from feature_store.errors import ArchiveError
from feature_store.sources.contract import Payload
from feature_store.warehouse.landing import Place, land

from .killed import Killed, Step, at_call, at_write
from .store import Store

NOW = datetime(2024, 3, 4, tzinfo=UTC)
ANSWERS = [f"answer {index} ".encode() * 100 for index in range(40)] + [b""]


def land_all(store: Store, source: str = "fred") -> None:
    for content in ANSWERS:
        payload = Payload("/o", "https://x.test/o", {}, 200, "text/plain", content, 1, NOW)
        land(store.conn, Place(source, "observations", "UTC"), "series", payload, "test")
    store.conn.commit()


def in_database(store: Store) -> int:
    row = store.conn.execute("select count(content) from raw.payloads").fetchone()
    store.conn.commit()
    assert row is not None
    return int(row[0])


def read(store: Store, content: bytes) -> bytes:
    try:
        return read_payload(store.conn, store.settings, sha256(content).hexdigest())
    finally:
        store.conn.commit()


def test_an_answer_reads_the_same_before_and_after_its_move(store: Store) -> None:
    land_all(store)
    assert [read(store, content) for content in ANSWERS] == ANSWERS
    assert move_payloads(store.conn, store.settings).payloads == len(ANSWERS)
    assert in_database(store) == 0
    assert [read(store, content) for content in ANSWERS] == ANSWERS


def test_bytes_lie_by_source_and_hash_without_the_tag_of_exported_files(store: Store) -> None:
    land_all(store)
    land_all(store, "binance")
    move_payloads(store.conn, store.settings)
    hashes = [sha256(content).hexdigest() for content in ANSWERS]
    assert set(store.files()) == {f"_payloads/binance/{h[:2]}/{h}.zst" for h in hashes}
    for name in store.files():
        tags = store.server.s3.client().get_object_tagging(Bucket=store.bucket, Key=name)
        assert tags["TagSet"] == []


def test_what_was_moved_is_not_moved_again_even_when_it_arrives_again(store: Store) -> None:
    land_all(store)
    move_payloads(store.conn, store.settings)
    land_all(store)
    assert move_payloads(store.conn, store.settings).payloads == 0
    assert set(store.writes().values()) == {1}


def test_while_s3_is_away_the_bytes_stay_and_the_next_run_catches_up(store: Store) -> None:
    land_all(store)
    store.server.stop()
    with pytest.raises(ArchiveError, match=f"{store.settings.s3_url} could not write"):
        move_payloads(store.conn, store.settings)
    assert in_database(store) == len(ANSWERS)
    assert read(store, ANSWERS[0]) == ANSWERS[0]
    store.server.start()
    move_payloads(store.conn, store.settings)
    assert in_database(store) == 0


# A batch is 16 answers, in the order of their hashes: each of these dies in the second or the third.
LATER = "old.sha256 > '8'"
STEPS = {
    "before it is put": at_call("before-call.s3.PutObject", survived=20),
    "after it is put": at_call("after-call.s3.PutObject", survived=20),
    "after it is read back": at_call("after-call.s3.GetObject", survived=20),
    "while it is noted": at_write(LATER),
    "before the commit": at_write(LATER, commit=True),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_move_that_is_killed_loses_nothing_and_the_next_one_completes_it(store: Store, step: Step) -> None:
    land_all(store)
    with step(store), pytest.raises((Killed, psycopg.errors.RaiseException)):
        move_payloads(store.conn, store.settings)
    left = in_database(store)
    assert 0 < left < len(ANSWERS), "whole batches are moved, the others are not"
    assert [read(store, content) for content in ANSWERS] == ANSWERS
    assert move_payloads(store.conn, store.settings).payloads == left
    assert in_database(store) == 0
    assert [read(store, content) for content in ANSWERS] == ANSWERS
    assert len(store.files()) == len(ANSWERS)


def test_two_moves_at_once_put_every_answer_once(store: Store) -> None:
    land_all(store)
    with psycopg.connect(store.settings.postgres_dsn) as other, ThreadPoolExecutor(2) as pool:
        moved = [pool.submit(move_payloads, conn, store.settings) for conn in (store.conn, other)]
        assert sum(move.result().payloads for move in moved) == len(ANSWERS)
    assert set(store.writes().values()) == {1}


def test_bytes_that_do_not_read_back_right_stay_in_the_database(store: Store) -> None:
    land_all(store)
    bad = sha256(ANSWERS[3]).hexdigest()
    store.conn.execute("update raw.payloads set content = '\\x00' where sha256 = %s", (bad,))
    with pytest.raises(ArchiveError, match=bad):
        move_payloads(store.conn, store.settings)
    store.conn.rollback()
    row = store.conn.execute("select content, uri from raw.payloads where sha256 = %s", (bad,)).fetchone()
    assert row == (b"\0", None)


def test_damaged_bytes_on_s3_are_told_and_not_returned(store: Store) -> None:
    land_all(store)
    move_payloads(store.conn, store.settings)
    (one, other, *_), client = list(store.files().items()), store.server.s3.client()
    client.put_object(Bucket=store.bucket, Key=one[0], Body=other[1])
    hash_ = one[0].split("/")[-1].removesuffix(".zst")
    with pytest.raises(ArchiveError, match=f"do not have the hash {hash_}"):
        read_payload(store.conn, store.settings, hash_)


def test_an_unknown_answer_says_so(store: Store) -> None:
    with pytest.raises(ArchiveError, match="holds no answer"):
        read_payload(store.conn, store.settings, "b" * 64)
