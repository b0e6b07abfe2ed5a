"""What a key may spend in a minute, over all processes together. Real time, by the database's clock.

A process takes a twentieth of the limit at a time from `ops.api_leases`, and spends it without asking again: all of
them together never admit more than the limit, and one that falls idle keeps no more than a block from the others.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

import asyncio
import logging
from dataclasses import dataclass
from math import ceil
from time import monotonic

import psycopg
from psycopg_pool import AsyncConnectionPool

from feature_store.serving.api.problems import Problem

logger = logging.getLogger(__name__)

BLOCKS = 20
"""How many blocks a limit has."""

# The last block may be smaller. A refusal is a block of nothing.
_LEASE = """
insert into ops.api_leases as held (key_id, minute, granted, block)
values (
  %(key_id)s, date_trunc('minute', clock_timestamp(), 'UTC'), least(%(block)s, %(limit)s), least(%(block)s, %(limit)s)
)
on conflict (key_id, minute) do update
set granted = greatest(held.granted, least(held.granted + %(block)s, %(limit)s)),
    block = greatest(0, least(%(block)s, %(limit)s - held.granted))
returning granted, block, extract(epoch from minute + interval '1 minute' - clock_timestamp())::float8
"""
_FORGET = "delete from ops.api_leases where minute < clock_timestamp() - interval '10 minutes'"


@dataclass(slots=True)
class _Window:
    """What this process holds of a key's minute."""

    limit: int
    granted: int
    """What all processes had taken when this one last asked."""
    left: int
    ends: float
    """By this process's monotonic clock, never later than by the database's."""
    policy: str

    def headers(self, now: float) -> dict[str, str]:
        """What is left for the key, as far as this process knows."""
        remaining = max(0, self.limit - self.granted) + self.left
        return {"RateLimit-Policy": self.policy, "RateLimit": f'"minute";r={remaining};t={self.seconds(now)}'}

    def seconds(self, now: float) -> int:
        """Whole seconds until the minute is over for certain."""
        return max(1, ceil(self.ends - now))


class Leases:
    """The blocks that this process holds, of every key."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection]) -> None:
        self._pool = pool
        self._windows: dict[str, _Window] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def spend(self, key_id: str, limit: int) -> dict[str, str]:
        """Spend one request of the key's minute and give the headers that tell what is left.

        Raises Problem rate-limited where there is none, and database-away when the database must be asked and is away.
        """
        now = monotonic()
        window = self._held(key_id, limit, now)
        if window is None:
            window = await self._leased(key_id, limit)
            now = monotonic()
        if window.left == 0:
            raise Problem(
                "rate-limited",
                f"The key {key_id} has spent its {limit} requests of this minute.",
                headers={**window.headers(now), "Retry-After": str(window.seconds(now))},
            )
        window.left -= 1
        return window.headers(now)

    async def forget(self) -> None:
        """Delete the minutes that are long over; psycopg.Error when the database is away."""
        async with self._pool.connection() as conn:
            await conn.execute(_FORGET)

    def _held(self, key_id: str, limit: int, now: float) -> _Window | None:
        """The window, unless the database must be asked: a minute that is spent is known to be so until its end."""
        window = self._windows.get(key_id)
        if window is None or now >= window.ends or window.limit != limit:
            return None
        return window if window.left or window.granted >= limit else None

    async def _leased(self, key_id: str, limit: int) -> _Window:
        # One request asks for a block, the others wait for it.
        async with self._asking.setdefault(key_id, asyncio.Lock()):
            while (window := self._held(key_id, limit, monotonic())) is None:
                self._windows[key_id] = await self._lease(key_id, limit)
            return window

    async def _lease(self, key_id: str, limit: int) -> _Window:
        values = {"key_id": key_id, "limit": limit, "block": max(1, limit // BLOCKS)}
        # Before it is sent: where the answer takes long, the minute ends early here, never late.
        began = monotonic()
        try:
            async with self._pool.connection() as conn:
                row = await (await conn.execute(_LEASE, values)).fetchone()
        except psycopg.Error as error:
            logger.warning("limits cannot be kept: %s", str(error).partition("\n")[0])
            raise Problem("database-away", "The database that keeps the limits of keys cannot be reached.") from None
        assert row is not None
        granted, block, seconds = row
        return _Window(limit, granted, block, began + seconds, f'"minute";q={limit};w=60')
