"""The rate budget of a source, kept in the database so that all processes share it. Real time, never virtual."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import psycopg
import pyrate_limiter
from psycopg_pool import ConnectionPool
from pyrate_limiter import Duration, PostgresBucket, Rate, RateItem
from pyrate_limiter.limiter import SingleBucketFactory

from feature_store.catalog.contracts import RateLimit
from feature_store.errors import WarehouseError


class Limiter(Protocol):
    """Lets requests through no faster than it should."""

    def try_acquire(self, name: str) -> Any:
        """Wait until one more request is allowed; `name` says which, for whoever reads the table."""


@cache
def limiter(dsn: str, slug: str, limit: RateLimit) -> Limiter:
    """A limiter that waits until the source's budget allows one more request, whoever spent it.

    It raises WarehouseError when the database is away.
    """
    bucket = _Bucket(pool(dsn), slug, _rates(limit))
    return pyrate_limiter.Limiter(SingleBucketFactory(bucket, schedule_leak=False))


def unlimited() -> Limiter:
    """A limiter that lets every request through at once: for a server of our own."""
    return _Unlimited()


@cache
def pool(dsn: str) -> ConnectionPool:
    """Connections of this process to what all processes share; a database that is away for longer than the pool's
    `timeout` raises WarehouseError."""
    return _Pool(
        dsn,
        min_size=0,
        max_size=2,
        # A process that hangs in the middle of a grant must not hold up all others.
        kwargs={"options": "-c search_path=ops -c timezone=UTC -c idle_in_transaction_session_timeout=10s"},
        check=ConnectionPool.check_connection,  # a restarted server leaves dead connections behind
        open=True,
    )


class _Pool(ConnectionPool):
    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[psycopg.Connection]:
        try:
            with super().connection(timeout) as conn:
                yield conn
        except psycopg.Error as error:
            info = psycopg.conninfo.conninfo_to_dict(str(self.conninfo))
            has_no_room = isinstance(error, psycopg.errors.DiskFull)
            advice = "Make room on its disk." if has_no_room else "Is the stack up? `make up` starts it."
            raise WarehouseError(
                f"the shared rate budgets and circuits in the database at {info.get('host')}:{info.get('port')}/"
                f"{info.get('dbname')} cannot be used: {str(error).partition(chr(10))[0]}. {advice}"
            ) from None


class _Bucket(PostgresBucket):
    """The library's, by the database's clock at the moment of each try.

    Its own time runs on from when the waiting began: a process that was held up would enter its request into a
    window that is over. And it falls back to the local clock, which other machines do not share.
    """

    def now(self) -> int:
        with self.pool.connection() as conn:
            row = conn.execute("select (extract(epoch from clock_timestamp()) * 1000)::bigint").fetchone()
        assert row is not None
        return int(row[0])

    def put(self, item: RateItem) -> bool:
        item.timestamp = self.now()
        granted = bool(super().put(item))
        if granted:
            self.leak(item.timestamp)
        return granted


class _Unlimited:
    def try_acquire(self, name: str) -> bool:
        return True


def _rates(limit: RateLimit) -> list[Rate]:
    """The limits from the shortest interval to the longest, without those that a shorter one implies."""
    rates = [Rate(limit.per_minute, Duration.MINUTE)]
    if limit.min_interval_seconds is not None:
        rates.append(Rate(1, round(limit.min_interval_seconds * Duration.SECOND)))
    if limit.per_second is not None:
        rates.append(Rate(limit.per_second, Duration.SECOND))
    rates.sort(key=lambda rate: rate.interval)
    return [
        rate
        for place, rate in enumerate(rates)
        if all(
            rate.limit > shorter.limit and rate.limit / rate.interval <= shorter.limit / shorter.interval
            for shorter in rates[:place]
        )
    ]
