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
    return Limiter(PostgresBucket(_pool(dsn), slug, _rates(limit)))


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
