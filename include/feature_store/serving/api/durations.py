"""How long answers took: counted in memory, added to `ops.api_durations` every few seconds.

All processes of the API add to one table, so what it tells is right across them and outlives each of them.
"""

from bisect import bisect_left
from collections import defaultdict
from typing import NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

from feature_store.serving.metrics import BUCKETS

# In the order of their key, as ops.api_reads.
_ADD = """
insert into ops.api_durations as held (endpoint, status, le, requests, seconds)
select took.endpoint, took.status, took.le, took.requests, took.seconds
from unnest(%s::text[], %s::text[], %s::float8[], %s::bigint[], %s::float8[])
  as took (endpoint, status, le, requests, seconds)
on conflict (endpoint, status, le) do update
set requests = held.requests + excluded.requests, seconds = held.seconds + excluded.seconds
"""


class _Kind(NamedTuple):
    endpoint: str
    status: str
    le: float


class Durations:
    """What this process answered since it last wrote that down."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection]) -> None:
        self._pool = pool
        self._counts: defaultdict[_Kind, list[float]] = defaultdict(lambda: [0, 0.0])

    def add(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._put(_Kind(endpoint, f"{status // 100}xx", BUCKETS[bisect_left(BUCKETS, seconds)]), 1, seconds)

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
            for kind, (requests, seconds) in counts.items():
                self._put(kind, requests, seconds)
            raise

    def _put(self, kind: _Kind, requests: float, seconds: float) -> None:
        counts = self._counts[kind]
        counts[0] += requests
        counts[1] += seconds
