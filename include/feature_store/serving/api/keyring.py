"""Who may ask, how often, and who asked how much. Real time, by the database's clock.

A process holds all keys in memory. It hears of a change at once, and reads them again every few seconds, should it have
missed one. Where the database stays away, a key may have been revoked meanwhile: then none is believed any more.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from feature_store.serving.api.access import Caller
from feature_store.serving.api.durations import Durations
from feature_store.serving.api.leases import Leases
from feature_store.serving.api.problems import Problem
from feature_store.serving.api.reads import Read, Reads
from feature_store.serving.keys import SCOPES, TOKEN, hash_of
from feature_store.settings import Settings

logger = logging.getLogger(__name__)

REREAD_SECONDS = 5.0
"""How often keys are read though nothing was heard."""
TRUST_SECONDS = 30.0
"""How long keys are believed that cannot be read again."""
FLUSH_SECONDS = 5.0
"""How often reads are written down."""

_RETRY_SECONDS = 1.0
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 5,
    "options": "-c timezone=UTC -c statement_timeout=5s",
}
_NOW = "select extract(epoch from clock_timestamp())::float8"
_KEYS = """
select sha256, key_id, name, scopes, rate_limit_rpm, extract(epoch from expires_at - clock_timestamp())::float8
from ops.api_keys where revoked_at is null
"""


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    ends: float
    """By this process's monotonic clock."""


class Keyring:
    """The keys of one process of the API, as `Access` says; `settings` name the database, and the limit of keys that
    have none of their own.

    As a rule it waits for nothing: `admit` asks the database once in a block of requests. Where the database is needed
    and away, both methods raise Problem database-away.
    """

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.publisher_dsn
        self._limit = settings.api_rate_limit_rpm
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection] = AsyncConnectionPool(
            self._dsn,
            min_size=1,
            max_size=2,
            timeout=5,
            kwargs=_OPTIONS,
            check=AsyncConnectionPool.check_connection,  # a restarted server leaves dead connections behind
            open=False,
        )
        self._leases = Leases(self._pool)
        self._reads = Reads(self._pool)
        self._durations = Durations(self._pool)
        self._keys: dict[str, _Key] = {}
        self._known: dict[str, _Key] = {}
        self._trusted_until = -inf
        self._epoch = 0.0
        self._tried = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_ready(self) -> bool:
        """Whether keys can be told from others now."""
        return monotonic() < self._trusted_until

    async def start(self) -> None:
        """Read the keys and keep them fresh. Without a database it starts too, and believes no key until it can."""
        await self._pool.open()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._keep_writing())]
        await self._tried.wait()

    async def stop(self) -> None:
        """Write down the last reads and let the connections go."""
        self._stopping.set()
        if self._tasks:
            watching, writing = self._tasks
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await writing
        if self._reads.waiting:
            logger.warning("%d requests could not be entered in ops.api_reads", self._reads.waiting)
        await self._pool.close()

    async def caller(self, authorization: str | None) -> Caller:
        """Whose key that header carries; `scopes` hold what admin brings with it."""
        scheme, _, token = (authorization or "").partition(" ")
        if not token:
            raise Problem("missing-key", "No key came with the request.", headers=_CHALLENGE)
        now = monotonic()
        if now >= self._trusted_until:
            raise Problem("database-away", "The database that holds the keys cannot be reached.")
        key = self._known.get(token)
        if key is None or scheme != "Bearer":
            key = self._find(scheme, token)
        if now >= key.ends:
            raise Problem("expired-key", "The time of this key is over.", headers=_CHALLENGE)
        return key.caller

    async def admit(self, caller: Caller) -> dict[str, str]:
        """Spend one request of the caller's minute; the headers tell what is left. Without a limit there are none."""
        limit = self._limit if caller.rate_limit_rpm is None else caller.rate_limit_rpm
        return await self._leases.spend(caller.key_id, limit) if limit else {}

    def note(self, caller: Caller, endpoint: str, points: int) -> None:
        """Count a request that was answered with so many points."""
        self._reads.add(Read(caller.key_id, int((self._epoch + monotonic()) // 60), endpoint), points)

    def took(self, endpoint: str, status: int, seconds: float) -> None:
        """Count how long an answer took."""
        self._durations.add(endpoint, status, seconds)

    async def write_down(self) -> None:
        """Write down what was counted; what cannot be written now waits."""
        try:
            await self._flush()
        except psycopg.Error as error:
            raise Problem("database-away", "What was counted cannot be written down.") from error

    async def _flush(self) -> None:
        await self._reads.flush()
        await self._durations.flush()

    def _find(self, scheme: str, token: str) -> _Key:
        token = token.strip()
        key = self._keys.get(hash_of(token)) if scheme.lower() == "bearer" and TOKEN.fullmatch(token) else None
        if key is None:
            raise Problem("invalid-key", "There is no such key, or it was revoked.", headers=_CHALLENGE)
        self._known[token] = key
        return key

    async def _watch(self) -> None:
        """Read the keys whenever they change, and every few seconds; connect again when the connection is lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, **_OPTIONS) as conn:
                    # Before they are read: what changes from here on is heard.
                    await conn.execute("listen feature_store_api_keys")
                    await self._keep_reading(conn)
            except (psycopg.Error, TimeoutError) as error:
                self._complain("keys cannot be read", error)
            self._tried.set()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _keep_reading(self, conn: psycopg.AsyncConnection) -> None:
        while True:
            async with asyncio.timeout(REREAD_SECONDS):
                await self._read(conn)
            self._tried.set()
            async for _ in conn.notifies(timeout=REREAD_SECONDS, stop_after=1):
                pass

    async def _read(self, conn: psycopg.AsyncConnection) -> None:
        began = monotonic()
        now = await (await conn.execute(_NOW)).fetchone()
        rows = await (await conn.execute(_KEYS)).fetchall()
        assert now is not None
        self._keys = {
            sha256: _Key(Caller(key_id, name, _implied(scopes), limit), inf if seconds is None else began + seconds)
            for sha256, key_id, name, scopes, limit, seconds in rows
        }
        self._known = {}
        self._epoch = now[0] - began
        self._trusted_until = began + TRUST_SECONDS

    async def _keep_writing(self) -> None:
        """Every few seconds, and at the end."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            try:
                await self._flush()
                if not self._stopping.is_set():
                    await self._leases.forget()
            except psycopg.Error as error:
                self._complain("reads cannot be written down", error)

    def _complain(self, what: str, error: Exception) -> None:
        logger.warning("%s: %s", what, str(error).partition("\n")[0] or type(error).__name__)


def _implied(scopes: list[str]) -> frozenset[str]:
    return frozenset(SCOPES if "admin" in scopes else scopes)
