"""The rate budget of a source, kept in the database so that all processes share it. Real time, never virtual."""

from functools import cache

from psycopg_pool import ConnectionPool
from pyrate_limiter import Duration, Limiter, PostgresBucket, Rate

from feature_store.catalog.contracts import RateLimit


@cache
def _pool(dsn: str) -> ConnectionPool:
    return ConnectionPool(
        dsn,
        min_size=0,
        max_size=2,
        kwargs={"options": "-c search_path=ops -c timezone=UTC"},
        check=ConnectionPool.check_connection,  # a restarted server leaves dead connections behind
        open=True,
    )


def limiter(dsn: str, slug: str, limit: RateLimit) -> Limiter:
    """A limiter that waits until the source's budget allows one more request."""
    rates = [Rate(limit.per_minute, Duration.MINUTE)]
    if limit.per_second is not None:
        rates.insert(0, Rate(limit.per_second, Duration.SECOND))
    if limit.min_interval_seconds is not None:
        rates.insert(0, Rate(1, round(limit.min_interval_seconds * Duration.SECOND)))
    return Limiter(PostgresBucket(_pool(dsn), slug, rates))
