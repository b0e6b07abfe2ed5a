"""Who read how much: counted in memory, added to `ops.api_reads` every few seconds."""

from collections import defaultdict
from typing import NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

# In the order of their key, so that processes that add to the same rows wait for each other in one direction.
_ADD = """
insert into ops.api_reads as held (key_id, minute, endpoint, requests, points)
select read.key_id, to_timestamp(read.minute * 60), read.endpoint, read.requests, read.points
from unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
  as read (key_id, minute, endpoint, requests, points)
on conflict (key_id, minute, endpoint) do update
set requests = held.requests + excluded.requests, points = held.points + excluded.points
"""


class Read(NamedTuple):
    """What is counted apart; `minute` in minutes since 1970."""

    key_id: str
    minute: int
    endpoint: str


class Reads:
    """What this process answered since it last wrote that down."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection]) -> None:
        self._pool = pool
        self._counts: defaultdict[Read, list[int]] = defaultdict(lambda: [0, 0])

    @property
    def waiting(self) -> int:
        """How many requests are not written down yet."""
        return sum(requests for requests, _ in self._counts.values())

    def add(self, read: Read, points: int) -> None:
        """Count one request."""
        counts = self._counts[read]
        counts[0] += 1
        counts[1] += points

    async def flush(self) -> None:
        """Write the counts down; where that fails with psycopg.Error, they wait for the next time."""
        if not self._counts:
            return
        counts = dict(sorted(self._counts.items()))
        self._counts.clear()
        columns = [list(column) for column in zip(*counts, strict=True)]
        try:
            async with self._pool.connection() as conn:
                await conn.execute(_ADD, [*columns, *map(list, zip(*counts.values(), strict=True))])
        except BaseException:
            for read, (requests, points) in counts.items():
                self._counts[read][0] += requests
                self._counts[read][1] += points
            raise
