"""Who may ask and how often, over processes that know of each other through the database alone."""

import asyncio
import itertools
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg_pool import AsyncConnectionPool

from feature_store.serving.api import keyring as module
from feature_store.serving.api.access import Access, Caller
from feature_store.serving.api.keyring import Keyring
from feature_store.serving.api.leases import BLOCKS, Leases
from feature_store.serving.api.problems import Problem
from feature_store.serving.keys import create_key, revoke_key, rotate_key
from feature_store.settings import Settings

LIMIT = re.compile(r'"minute";r=(\d+);t=(\d+)')


def ask(dsn: str, action: Callable[..., Awaitable[Any]], rings: int = 1, rpm: int = 1000) -> Any:
    """What an action gives that is handed key rings which started, and stop after it."""

    async def started() -> Any:
        async with AsyncExitStack() as stack:
            return await action(*[await stack.enter_async_context(ring(dsn, rpm)) for _ in range(rings)])

    return asyncio.run(started())


@asynccontextmanager
async def ring(dsn: str, rpm: int = 1000) -> AsyncIterator[Keyring]:
    keys = Keyring(Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_API_RATE_LIMIT_RPM=rpm))
    await keys.start()
    try:
        yield keys
    finally:
        await keys.stop()


async def slug(answer: Awaitable[Any]) -> str:
    """What problem it is; `none` when there is none."""
    try:
        await answer
    except Problem as problem:
        return problem.slug
    return "none"


async def becomes(expected: str, asked: Callable[[], Awaitable[Any]]) -> None:
    deadline = time.monotonic() + 60
    while (found := await slug(asked())) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)


def started_minute(dsn: str) -> None:
    """Enough of a minute for what a test does in one."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("""select pg_sleep(case when rest < 6 then rest else 0 end)
            from (select 60 - extract(epoch from clock_timestamp())::numeric % 60 as rest)""")


def test_it_is_what_the_api_asks_for(dsn: str) -> None:
    kept: Access = Keyring(Settings(FEATURE_STORE_POSTGRES_DSN=dsn))
    assert kept


def test_a_key_opens_what_its_scopes_say_and_admin_brings_the_others(dsn: str, db: psycopg.Connection) -> None:
    reader, boss = create_key(db, "desk", ["read"], None, 5), create_key(db, "boss", ["admin"])

    async def action(keys: Keyring) -> None:
        assert await keys.caller(f"Bearer {reader.token}") == Caller(reader.key_id, "desk", frozenset({"read"}), 5)
        for spelt in (f"Bearer {boss.token}", f"bearer  {boss.token} ", f"BEARER {boss.token}"):
            assert (await keys.caller(spelt)).scopes == {"read", "publish", "admin"}

    ask(dsn, action)


def test_whoever_has_no_key_is_told_what_is_wrong_and_no_more(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"])
    ended = create_key(db, "gone", ["read"])
    revoke_key(db, ended.key_id)
    over = create_key(db, "over", ["read"])
    rotate_key(db, over.key_id, timedelta(0))
    cases = {
        None: "missing-key", "": "missing-key", "Bearer": "missing-key", "Bearer ": "missing-key",
        f"Basic {made.token}": "invalid-key", f"Bearer {made.token}x": "invalid-key", "Bearer ä": "invalid-key",
        f"Bearer fs_{made.key_id}_{'x' * 43}": "invalid-key", f"Bearer {ended.token}": "invalid-key",
        f"Bearer {over.token}": "expired-key",
    }  # fmt: skip

    async def action(keys: Keyring) -> None:
        for header, expected in cases.items():
            for _ in range(2):
                assert await slug(keys.caller(header)) == expected, header
        with pytest.raises(Problem) as refused:
            await keys.caller(None)
        assert refused.value.headers == {"WWW-Authenticate": "Bearer"}
        assert await slug(keys.caller(f"Bearer {made.token}")) == "none"

    ask(dsn, action)


def test_a_key_ends_at_its_instant_without_a_word_from_the_database(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"], datetime.now(UTC) + timedelta(seconds=1.5))

    async def action(keys: Keyring) -> None:
        assert await slug(keys.caller(f"Bearer {made.token}")) == "none"
        await becomes("expired-key", lambda: keys.caller(f"Bearer {made.token}"))

    ask(dsn, action)


def test_a_change_is_heard_at_once(dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REREAD_SECONDS", 3600.0)
    monkeypatch.setattr(module, "TRUST_SECONDS", 3600.0)

    async def action(one: Keyring, other: Keyring) -> None:
        made = create_key(db, "desk", ["read"])
        for keys in (one, other):
            await becomes("none", lambda keys=keys: keys.caller(f"Bearer {made.token}"))
        revoke_key(db, made.key_id)
        for keys in (one, other):
            await becomes("invalid-key", lambda keys=keys: keys.caller(f"Bearer {made.token}"))

    ask(dsn, action, rings=2)


def test_an_unheard_change_is_found_before_long(
    dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REREAD_SECONDS", 0.2)
    db.execute("alter table ops.api_keys disable trigger tell_of_api_keys")
    db.commit()
    made = create_key(db, "desk", ["read"])

    async def action(keys: Keyring) -> None:
        assert await slug(keys.caller(f"Bearer {made.token}")) == "none"
        revoke_key(db, made.key_id)
        await becomes("invalid-key", lambda: keys.caller(f"Bearer {made.token}"))

    ask(dsn, action)


def test_a_lost_connection_is_made_again(dsn: str, db: psycopg.Connection) -> None:
    async def action(keys: Keyring) -> None:
        db.execute("""select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()""")
        db.commit()
        made = create_key(db, "desk", ["read"])
        await becomes("none", lambda: keys.caller(f"Bearer {made.token}"))
        assert await keys.admit(await keys.caller(f"Bearer {made.token}"))

    ask(dsn, action)


def test_keys_that_cannot_be_read_again_are_believed_no_longer(
    dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REREAD_SECONDS", 0.2)
    monkeypatch.setattr(module, "TRUST_SECONDS", 1.0)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.1)
    made = create_key(db, "desk", ["read"])

    async def action(keys: Keyring) -> None:
        assert keys.is_ready
        db.execute("alter table ops.api_keys rename to elsewhere")
        db.commit()
        await becomes("database-away", lambda: keys.caller(f"Bearer {made.token}"))
        assert not keys.is_ready
        assert await slug(keys.caller(None)) == "missing-key"
        db.execute("alter table ops.elsewhere rename to api_keys")
        db.commit()
        await becomes("none", lambda: keys.caller(f"Bearer {made.token}"))

    ask(dsn, action)


def test_without_a_database_it_starts_and_stops_and_believes_nobody(tmp_path: Path) -> None:
    async def action(keys: Keyring) -> None:
        assert await slug(keys.caller("Bearer x")) == "database-away"

    ask("postgresql://nobody@127.0.0.1:1/nowhere", action)


def test_the_headers_count_down_and_the_refusal_says_when_to_come_again(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"], None, 45)  # blocks of 2, the last of 1

    async def action(keys: Keyring) -> None:
        caller = await keys.caller(f"Bearer {made.token}")
        told = [await keys.admit(caller) for _ in range(45)]
        assert {headers["RateLimit-Policy"] for headers in told} == {'"minute";q=45;w=60'}
        counts = [LIMIT.fullmatch(headers["RateLimit"]) for headers in told]
        assert [int(match[1]) for match in counts if match] == list(range(44, -1, -1))
        assert all(0 < int(match[2]) <= 60 for match in counts if match)
        for _ in range(2):
            with pytest.raises(Problem) as refused:
                await keys.admit(caller)
            assert refused.value.slug == "rate-limited"
            match = LIMIT.fullmatch(refused.value.headers["RateLimit"])
            assert match is not None
            assert match[1] == "0"
            assert refused.value.headers["Retry-After"] == match[2]

    started_minute(dsn)
    ask(dsn, action)
    assert db.execute("select granted, block from ops.api_leases").fetchall() == [(45, 1)]


def test_a_key_without_a_limit_takes_no_lease_and_gets_no_headers(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"], None, 0)

    async def action(keys: Keyring) -> None:
        caller = await keys.caller(f"Bearer {made.token}")
        assert [await keys.admit(caller) for _ in range(100)] == [{}] * 100

    ask(dsn, action, rpm=3)
    assert db.execute("select from ops.api_leases").fetchall() == []


def test_a_key_without_a_limit_of_its_own_has_that_of_the_setting(dsn: str, db: psycopg.Connection) -> None:
    made = create_key(db, "desk", ["read"])

    async def action(keys: Keyring) -> list[str]:
        caller = await keys.caller(f"Bearer {made.token}")
        return [await slug(keys.admit(caller)) for _ in range(5)]

    started_minute(dsn)
    assert ask(dsn, action, rpm=3) == ["none"] * 3 + ["rate-limited"] * 2


def test_processes_that_spend_at_once_never_spend_more_than_the_limit_together(
    dsn: str, db: psycopg.Connection
) -> None:
    made = create_key(db, "desk", ["read"], None, 237)

    async def action(*rings: Keyring) -> list[str]:
        async def greedy(keys: Keyring) -> list[str]:
            caller = await keys.caller(f"Bearer {made.token}")
            return [await slug(keys.admit(caller)) for _ in range(40)]

        found = await asyncio.gather(*[greedy(keys) for keys in rings for _ in range(5)])
        return list(itertools.chain(*found))

    started_minute(dsn)
    counts = Counter(ask(dsn, action, rings=3))
    assert counts == {"none": 237, "rate-limited": 600 - 237}


def test_the_next_minute_is_a_new_one(dsn: str, db: psycopg.Connection) -> None:
    """The database's minutes are what counts: the test moves the spent one into the past."""
    made = create_key(db, "desk", ["read"], None, 1)

    async def action(keys: Keyring) -> None:
        caller = await keys.caller(f"Bearer {made.token}")
        assert [await slug(keys.admit(caller)) for _ in range(2)] == ["none", "rate-limited"]
        db.execute("update ops.api_leases set minute = minute - interval '1 minute'")
        db.commit()
        assert await slug(keys.admit(caller)) == "rate-limited", "this process knows without asking"
        async with ring(dsn) as other:
            assert await slug(other.admit(caller)) == "none"

    started_minute(dsn)
    ask(dsn, action)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(limit=st.integers(1, 90), who=st.lists(st.integers(0, 2), min_size=1, max_size=120))
def test_in_whatever_order_they_ask_the_limit_holds_and_an_idle_process_wastes_a_block(
    dsn: str, limit: int, who: list[int]
) -> None:
    async def action() -> Counter[str]:
        async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False, kwargs={"autocommit": True}) as pool:
            processes = [Leases(pool) for _ in range(3)]
            key_id = f"k{time.monotonic_ns()}"
            return Counter([await slug(processes[one].spend(key_id, limit)) for one in who])

    started_minute(dsn)
    admitted = asyncio.run(action())["none"]
    wasted = (len(set(who)) - 1) * max(1, limit // BLOCKS)
    assert admitted <= limit
    assert admitted >= min(len(who), limit - wasted)


def test_what_was_read_adds_up_over_processes_that_write_it_down_at_once(
    dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    made = [create_key(db, name, ["read"]) for name in ("a", "b")]

    async def action(*rings: Keyring) -> None:
        async def read(keys: Keyring) -> None:
            for turn in range(200):
                for key in made:
                    caller = await keys.caller(f"Bearer {key.token}")
                    keys.note(caller, ("/v1/query", "/v1/latest")[turn % 2], turn)
                await asyncio.sleep(0.001)

        await asyncio.gather(*map(read, rings))

    ask(dsn, action, rings=4)
    rows = db.execute("""select key_id, endpoint, sum(requests)::int, sum(points)::int
        from ops.api_reads group by 1, 2 order by 1, 2""").fetchall()
    even, odd = sum(range(0, 200, 2)), sum(range(1, 200, 2))
    assert rows == [
        row
        for key_id in sorted(key.key_id for key in made)
        for row in [(key_id, "/v1/latest", 400, 4 * odd), (key_id, "/v1/query", 400, 4 * even)]
    ]
    ((late,),) = db.execute("select max(clock_timestamp() - minute) from ops.api_reads").fetchall()
    assert late < timedelta(minutes=3)


def test_reads_that_could_not_be_written_down_wait_for_the_next_time(
    dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    made = create_key(db, "desk", ["read"])

    async def action(keys: Keyring) -> None:
        caller = await keys.caller(f"Bearer {made.token}")
        db.execute("alter table ops.api_reads rename to elsewhere")
        db.commit()
        for _ in range(10):
            keys.note(caller, "/v1/latest", 3)
            await asyncio.sleep(0.02)
        db.execute("alter table ops.elsewhere rename to api_reads")
        db.commit()

    ask(dsn, action)
    assert db.execute("select sum(requests)::int, sum(points)::int from ops.api_reads").fetchall() == [(10, 30)]


def test_leases_of_minutes_long_over_are_deleted(
    dsn: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    db.execute("insert into ops.api_leases select 'desk0000', clock_timestamp() - interval '1 hour', 3, 3")
    db.execute("insert into ops.api_leases select 'desk0000', date_trunc('minute', clock_timestamp()), 4, 3")
    db.commit()
    ask(dsn, lambda keys: asyncio.sleep(0.2))
    assert db.execute("select granted from ops.api_leases").fetchall() == [(4,)]


def test_no_key_is_ever_logged(dsn: str, db: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    made = create_key(db, "desk", ["read"], None, 1)
    caplog.set_level(logging.DEBUG)

    async def action(keys: Keyring) -> None:
        caller = await keys.caller(f"Bearer {made.token}")
        for header in (f"Bearer {made.token}x", f"Basic {made.token}", made.token):
            with pytest.raises(Problem) as refused:
                await keys.caller(header)
            assert made.token not in str(refused.value.body("/v1/latest", "1"))
        assert [await slug(keys.admit(caller)) for _ in range(2)] == ["none", "rate-limited"]
        revoke_key(db, made.key_id)
        await becomes("invalid-key", lambda: keys.caller(f"Bearer {made.token}"))
        assert made.token not in repr(vars(keys)["_keys"])

    started_minute(dsn)
    ask(dsn, action)
    assert made.token not in caplog.text
