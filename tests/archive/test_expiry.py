"""Bytes that no stream keeps any more go from the database and from S3; their hash, size and fetches stay."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from feature_store import clock
from feature_store.archive import (
    Due,
    Expired,
    commit_history,
    due_payloads,
    expire_payloads,
    move_payloads,
    read_payload,
    verify,
)
from feature_store.archive.s3 import open_bucket
from feature_store.catalog import Catalog, load_catalog
from feature_store.cli import app
from feature_store.errors import ArchiveError, BytesExpired
from feature_store.serving.query import QueryLayer
from feature_store.settings import ROOT
from feature_store.sources.contract import Payload
from feature_store.warehouse.landing import Place, land
from feature_store.warehouse.migrate import MIGRATIONS

from .killed import Killed, Step, at_call, at_write
from .store import Point, Store

FETCHED = datetime(2024, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
BOOKS, TICKER = Place("binance", "depth", "UTC"), Place("binance", "ticker_24h", "UTC")
"""Two streams that keep bytes for 90 days."""
GAS = Place("etherscan", "gasoracle", "UTC")
"""One that keeps them for 365."""
VALUES = Place("fred", "observations", "UTC")
"""One that keeps them forever."""
OLD = [f"book {index} ".encode() * 50 for index in range(100)]
KEPT = [f"value {index} ".encode() * 50 for index in range(5)]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def at(store: Store, since_fetched: timedelta) -> None:
    clock.freeze(store.conn, FETCHED + since_fetched)


def arrive(
    conn: psycopg.Connection, place: Place, *contents: bytes, fetched_at: datetime = FETCHED, outcome: str = "loaded"
) -> list[int]:
    """Answers land, and something becomes of them."""
    ids = [
        land(conn, place, "x", Payload("/o", "https://x.test/o", {}, 200, "", content, 1, fetched_at), "test")
        for content in contents
    ]
    conn.execute("update raw.fetches set outcome = %s where fetch_id = any(%s)", (outcome, ids))
    conn.commit()
    return ids


def reject(store: Store, fetch_id: int, rule: str = "unreadable_answer") -> None:
    store.conn.execute(
        "insert into raw.rejects (source, stream, fetch_id, rule, reason) values ('x', 'x', %s, %s, 'odd')",
        (fetch_id, rule),
    )
    store.conn.commit()


def expire(store: Store, catalog: Catalog) -> int:
    return expire_payloads(store.conn, store.settings, catalog).payloads


def has_expired(store: Store, content: bytes) -> bool:
    """Whether it has; what has not reads as it came."""
    try:
        assert read_payload(store.conn, store.settings, sha256(content).hexdigest()) == content
    except BytesExpired:
        return True
    finally:
        store.conn.commit()
    return False


def rows(store: Store) -> list[tuple[Any, ...]]:
    """(bytes in the database?, place on S3?, expired at) of every payload, each once."""
    found = store.conn.execute(
        "select distinct content is not null, uri is not null, expired_at from raw.payloads order by 1, 2, 3"
    ).fetchall()
    store.conn.commit()
    return found


def land_elsewhere(store: Store, content: bytes) -> None:
    """The content comes again, 91 days after it first did, on a connection of its own."""
    with psycopg.connect(store.settings.postgres_dsn) as other:
        arrive(other, BOOKS, content, fetched_at=FETCHED + 91 * DAY)


@contextmanager
def landing_halfway(store: Store, content: bytes) -> Iterator[None]:
    """While the block runs, a landing of the content has its payload, and not its fetch yet."""
    store.conn.execute(
        """create function ops.hold() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
           create trigger hold before insert on raw.fetches for each row execute function ops.hold();
           select pg_advisory_lock(7)"""
    )
    store.conn.commit()
    with ThreadPoolExecutor(1) as pool:
        landing = pool.submit(land_elsewhere, store, content)
        wait_for_one_that_waits(store)
        try:
            yield
        finally:
            store.conn.execute("select pg_advisory_unlock(7)")
            store.conn.commit()
        landing.result()


def wait_for_one_that_waits(store: Store) -> None:
    with psycopg.connect(store.settings.postgres_dsn, autocommit=True) as watch:
        while not watch.execute("select from pg_locks where not granted").fetchall():
            pass


@contextmanager
def meanwhile(store: Store, event: str, do: Any) -> Iterator[None]:
    """Something else happens at the first such event of boto3."""
    calls = count()

    def on_event(**_: Any) -> None:
        if next(calls) == 0:
            do()

    events = open_bucket(store.settings).client.meta.events
    events.register(event, on_event)
    try:
        yield
    finally:
        events.unregister(event, on_event)


@pytest.mark.parametrize("is_moved", [True, False], ids=["from S3", "from the database"])
def test_bytes_go_when_they_are_older_than_their_stream_keeps_them(
    store: Store, catalog: Catalog, is_moved: bool
) -> None:
    arrive(store.conn, BOOKS, *OLD)
    arrive(store.conn, VALUES, *KEPT)
    if is_moved:
        move_payloads(store.conn, store.settings)
    at(store, 90 * DAY)
    assert expire(store, catalog) == 0, "they are 90 days old, and no more"
    at(store, 90 * DAY + INSTANT)
    size = sum(map(len, OLD))
    assert due_payloads(store.conn, catalog) == [Due("binance/depth", len(OLD), size, 0)]
    assert expire_payloads(store.conn, store.settings, catalog) == Expired(len(OLD), size)
    assert all(has_expired(store, content) for content in OLD)
    assert not any(has_expired(store, content) for content in KEPT)
    assert rows(store) == [
        (False, False, FETCHED + 90 * DAY + INSTANT),
        (False, True, None) if is_moved else (True, False, None),
    ]
    assert len(store.files()) == (len(KEPT) if is_moved else 0)
    assert due_payloads(store.conn, catalog) == []
    assert expire(store, catalog) == 0


def test_hash_size_and_fetches_stay_and_reading_says_when_the_bytes_went(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    at(store, 91 * DAY)
    expire(store, catalog)
    digest = sha256(b"a book").hexdigest()
    held = store.conn.execute(
        "select p.sha256, p.size_bytes, f.fetched_at from raw.payloads as p join raw.fetches as f using (sha256)"
    ).fetchall()
    assert held == [(digest, 6, FETCHED)]
    with pytest.raises(BytesExpired, match=rf"{digest} expired at 2024-06-03T00:00:00\+00:00.*fetches.*remain"):
        read_payload(store.conn, store.settings, digest)


def test_bytes_that_a_stream_keeps_forever_stay_whoever_else_sent_them(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"{}")
    arrive(store.conn, VALUES, b"{}")
    at(store, 1000 * DAY)
    assert expire(store, catalog) == 0
    assert not has_expired(store, b"{}")


def test_bytes_stay_as_long_as_the_last_stream_that_sent_them_keeps_them(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"{}")
    arrive(store.conn, GAS, b"{}")
    at(store, 365 * DAY)
    assert expire(store, catalog) == 0
    at(store, 366 * DAY)
    assert expire(store, catalog) == 1


def test_bytes_that_came_again_are_as_old_as_their_last_fetch(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"{}")
    arrive(store.conn, BOOKS, b"{}", fetched_at=FETCHED + 60 * DAY)
    at(store, 100 * DAY)
    assert expire(store, catalog) == 0
    at(store, 151 * DAY)
    assert expire(store, catalog) == 1


def test_bytes_of_a_stream_that_the_catalog_does_not_know_stay(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, Place("binance", "gone", "UTC"), b"{}")
    at(store, 1000 * DAY)
    assert expire(store, catalog) == 0


def test_answers_that_were_never_loaded_stay_until_they_are(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"landed", outcome="landed")
    arrive(store.conn, BOOKS, b"failed", outcome="failed")
    at(store, 100 * DAY)
    assert due_payloads(store.conn, catalog) == [Due("binance/depth", 1, 6, 1)]
    assert expire(store, catalog) == 1
    assert has_expired(store, b"failed")
    assert not has_expired(store, b"landed")
    store.conn.execute("update raw.fetches set outcome = 'loaded'")
    assert expire(store, catalog) == 1


@pytest.mark.parametrize("rule", ["unreadable_answer", "expected_range"])
def test_answers_with_an_open_reject_stay_until_it_is_settled(store: Store, catalog: Catalog, rule: str) -> None:
    unread, *_ = arrive(store.conn, BOOKS, b"odd", b"even")
    reject(store, unread, rule)
    at(store, 100 * DAY)
    assert due_payloads(store.conn, catalog) == [Due("binance/depth", 1, 4, 1)]
    assert expire(store, catalog) == 1
    assert not has_expired(store, b"odd")
    store.conn.execute("update raw.rejects set resolved_at = ops.now()")
    assert expire(store, catalog) == 1


def test_what_is_over_its_time_is_told_by_stream_and_counted_once(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"one", b"both")
    arrive(store.conn, TICKER, b"two", b"both")
    at(store, 100 * DAY)
    assert due_payloads(store.conn, catalog) == [Due("binance/depth", 2, 7, 0), Due("binance/ticker_24h", 1, 3, 0)]
    assert expire(store, catalog) == 3


# A batch is 64 answers, in the order of their hashes.
IS_MARKED = "old.expired_at is null and new.expired_at is not null and new.sha256 > 'c'"
IS_DELETED = "old.uri is not null and new.uri is null and new.sha256 > 'c'"
STEPS = {
    "while it is marked": at_write(IS_MARKED),
    "before the mark is committed": at_write(IS_MARKED, commit=True),
    "before it is deleted": at_call("before-call.s3.DeleteObject", survived=70),
    "after it is deleted": at_call("after-call.s3.DeleteObject", survived=70),
    "while its place is forgotten": at_write(IS_DELETED),
    "before that is committed": at_write(IS_DELETED, commit=True),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_an_expiry_that_is_killed_is_completed_by_the_next_and_takes_nothing_else(
    store: Store, catalog: Catalog, step: Step
) -> None:
    arrive(store.conn, BOOKS, *OLD)
    arrive(store.conn, VALUES, *KEPT)
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    with step(store), pytest.raises((Killed, psycopg.errors.RaiseException)):
        expire(store, catalog)
    assert not any(has_expired(store, content) for content in KEPT)
    gone = sum(has_expired(store, content) for content in OLD)
    assert 0 < gone <= len(OLD), "what has not expired reads as it came"
    assert 0 < expire(store, catalog) < len(OLD)
    assert all(has_expired(store, content) for content in OLD)
    assert not any(has_expired(store, content) for content in KEPT)
    assert rows(store) == [(False, False, FETCHED + 91 * DAY), (False, True, None)]
    assert len(store.files()) == len(KEPT)


def test_while_s3_is_away_nothing_is_lost_and_the_next_run_catches_up(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, *OLD)
    arrive(store.conn, VALUES, *KEPT)
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    store.server.stop()
    for _ in range(2):
        with pytest.raises(ArchiveError, match=f"{store.settings.s3_url} could not delete"):
            expire(store, catalog)
    store.server.start()
    assert expire(store, catalog) == len(OLD)
    assert not any(has_expired(store, content) for content in KEPT)
    assert len(store.files()) == len(KEPT)


def test_an_object_that_is_missing_already_is_fine(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    [name] = store.files()
    store.server.s3.client().delete_object(Bucket=store.bucket, Key=name)
    at(store, 91 * DAY)
    assert expire(store, catalog) == 1


def test_an_earlier_bucket_that_is_gone_took_its_objects_along(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    store.conn.execute("update raw.payloads set content = null, uri = 's3://long-gone/_payloads/x'")
    at(store, 91 * DAY)
    assert expire(store, catalog) == 1


def test_a_wrong_bucket_is_no_reason_to_take_bytes_for_deleted(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    at(store, 91 * DAY)
    elsewhere = store.settings.model_copy(update={"export_s3_uri": "s3://not-there"})
    with pytest.raises(ArchiveError, match="no bucket not-there"):
        expire_payloads(store.conn, elsewhere, catalog)
    assert [has_place for _, has_place, _ in rows(store)] == [True]


def test_what_a_killed_move_left_on_s3_goes_with_the_bytes_in_the_database(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    with at_call("after-call.s3.PutObject", survived=0)(store), pytest.raises(Killed):
        move_payloads(store.conn, store.settings)
    assert len(store.files()) == 1
    at(store, 91 * DAY)
    assert expire(store, catalog) == 1
    assert store.files() == {}


def test_bytes_that_expired_and_come_again_are_held_again(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    expire(store, catalog)
    arrive(store.conn, BOOKS, b"a book", fetched_at=FETCHED + 91 * DAY)
    assert not has_expired(store, b"a book")
    assert expire(store, catalog) == 0
    move_payloads(store.conn, store.settings)
    assert rows(store) == [(False, True, None)]
    assert not has_expired(store, b"a book")


def test_bytes_that_come_again_while_their_object_is_deleted_stay(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    land_again = partial(land_elsewhere, store, b"a book")
    with meanwhile(store, "before-call.s3.DeleteObject", land_again):
        expire(store, catalog)
    assert not has_expired(store, b"a book")
    move_payloads(store.conn, store.settings)
    assert not has_expired(store, b"a book")


def test_bytes_that_come_again_before_their_turn_stay(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, *OLD)
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    last = max(OLD, key=lambda content: sha256(content).hexdigest())
    land_again = partial(land_elsewhere, store, last)
    with meanwhile(store, "before-call.s3.DeleteObject", land_again):
        assert expire(store, catalog) == len(OLD) - 1
    assert not has_expired(store, last)


def test_bytes_that_are_landing_are_passed_over(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book", b"another")
    at(store, 91 * DAY)
    with landing_halfway(store, b"a book"):
        assert expire(store, catalog) == 1
    assert not has_expired(store, b"a book")
    assert has_expired(store, b"another")


def test_a_landing_that_waits_for_the_mark_puts_the_bytes_back(store: Store) -> None:
    arrive(store.conn, BOOKS, b"a book")
    with ThreadPoolExecutor(1) as pool:
        store.conn.execute("select from raw.payloads for update")
        landing = pool.submit(land_elsewhere, store, b"a book")
        wait_for_one_that_waits(store)
        store.conn.execute("update raw.payloads set content = null, expired_at = ops.now()")
        store.conn.commit()
        landing.result()
    assert not has_expired(store, b"a book")


def test_bytes_that_expire_while_they_are_read_have_expired(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)

    def expire_elsewhere() -> None:
        with psycopg.connect(store.settings.postgres_dsn) as other:
            expire_payloads(other, store.settings, catalog)

    with meanwhile(store, "before-call.s3.GetObject", expire_elsewhere):
        assert has_expired(store, b"a book")


def test_a_move_waits_while_bytes_expire(store: Store, catalog: Catalog) -> None:
    """Else it could put an object there that the expiry is about to delete."""
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    waits: list[bool] = []

    def try_to_work() -> None:
        with psycopg.connect(store.settings.postgres_dsn) as other:
            row = other.execute("select pg_try_advisory_lock(hashtext('raw.payloads'))").fetchone()
            waits.append(row == (False,))

    with meanwhile(store, "before-call.s3.DeleteObject", try_to_work):
        expire(store, catalog)
    assert waits == [True]


def test_no_transaction_waits_for_s3(store: Store, catalog: Catalog) -> None:
    """Readers of what committed would wait for it."""
    arrive(store.conn, BOOKS, b"a book")
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    states: list[str] = []

    def look() -> None:
        with psycopg.connect(store.settings.postgres_dsn) as other:
            found = other.execute(
                "select state from pg_stat_activity where pid = %s", (store.conn.info.backend_pid,)
            ).fetchone()
            states.extend(found or ())

    with meanwhile(store, "before-call.s3.DeleteObject", look):
        expire(store, catalog)
    assert states == ["idle"]


def test_bytes_cannot_be_let_go_but_by_expiry(store: Store) -> None:
    arrive(store.conn, BOOKS, b"a book")
    with pytest.raises(psycopg.errors.CheckViolation):
        store.conn.execute("update raw.payloads set content = null")


def test_the_migration_may_run_again_over_what_has_expired(store: Store, catalog: Catalog) -> None:
    arrive(store.conn, BOOKS, *OLD[:3])
    arrive(store.conn, VALUES, *KEPT)
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    expire(store, catalog)
    before = rows(store)
    store.conn.execute((MIGRATIONS / "0018_payload_expiry.sql").read_bytes())
    assert rows(store) == before


@pytest.mark.parametrize(
    "step", [nullcontext, at_call("before-call.s3.DeleteObject", survived=0)], ids=["deleted", "not deleted yet"]
)
def test_verifying_and_explaining_know_that_bytes_expired(
    store: Store, catalog: Catalog, step: Callable[[Store], AbstractContextManager[None]]
) -> None:
    (fetch,) = arrive(store.conn, BOOKS, b"a book")
    arrive(store.conn, VALUES, *KEPT)
    move_payloads(store.conn, store.settings)
    at(store, 91 * DAY)
    store.append(Point("2024-03-04", feature="crypto/btc/price_usd", evidence=[{"fetch": fetch}]))
    with step(store), suppress(Killed):
        expire(store, catalog)
    commit_history(store.conn, store.settings)
    found = verify(store.conn, store.settings)
    assert (found.payloads, found.problems) == (len(KEPT), [])
    explained = QueryLayer(store.settings, catalog).explain("crypto/btc/price_usd", FETCHED)
    assert [(one.payload, one.expired_at, one.sha256, one.size_bytes) for one in explained.sources] == [
        ("expired", FETCHED + 91 * DAY, sha256(b"a book").hexdigest(), 6)
    ]


@pytest.mark.usefixtures("stack_env")
def test_the_command_tells_by_stream_what_would_go_and_then_moves_and_expires(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = CliRunner().invoke
    assert run(app, ["archive", "payloads", "--dry-run"]).stdout == (
        "would move 0 payloads (0 bytes)\nwould expire nothing\n"
    )
    arrive(store.conn, BOOKS, b"a book", b"another")
    arrive(store.conn, TICKER, b"unread", outcome="landed")
    arrive(store.conn, VALUES, *KEPT)
    at(store, 91 * DAY)
    before = rows(store)
    told = run(app, ["archive", "payloads", "--dry-run"])
    assert told.exit_code == 0, told.output
    assert "would move 8 payloads" in told.stdout
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.stdout.splitlines() if "binance" in line]
    assert cells == [["binance/depth", "2", "13", "0"], ["binance/ticker_24h", "0", "0", "1"]]
    assert rows(store) == before
    done = run(app, ["archive", "payloads"])
    assert done.exit_code == 0, done.output
    moved, expired = done.stdout.splitlines()
    assert moved.startswith("8 payloads moved")
    assert expired == "2 payloads expired (13 bytes before compression)"


@pytest.mark.usefixtures("stack_env")
def test_the_task_of_maintain_storage_expires_them(store: Store, tmp_path: Path) -> None:
    arrive(store.conn, BOOKS, b"a book", b"another")
    at(store, 91 * DAY)
    task = "import runpy; print(runpy.run_path('dags/maintain_storage.py')['expire_payloads'].function())"
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", task], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["2 payloads expired (13 bytes before compression)", "2"]
