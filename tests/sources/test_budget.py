"""Budgets hold for all processes together, in the database and by its clock."""

import multiprocessing
from multiprocessing.process import BaseProcess

import psycopg
import pytest
from pyrate_limiter import Duration, Rate, RateItem

from feature_store.catalog import Source, load_catalog
from feature_store.catalog.contracts import RateLimit
from feature_store.errors import WarehouseError
from feature_store.sources.budget import _Bucket, _rates, limiter, pool, unlimited
from feature_store.sources.http import Http

from .upstream import answering, wall

FOUR_A_SECOND = RateLimit(per_minute=1000, per_second=4)
ON_ITS_WAY = 0.25
"""Seconds by which a request may arrive later than another after it was let through."""


def ask(dsn: str, url: str, times: int) -> None:
    """What a process does: ask so many times."""
    with Http(url, limiter(dsn, "shared", FOUR_A_SECOND), {}, wall) as http:
        for _ in range(times):
            http.get("x", {})


def test_processes_share_a_budget_also_when_one_of_them_is_killed(dsn: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    with answering() as upstream:
        workers: list[BaseProcess] = [spawn.Process(target=ask, args=(dsn, upstream.url, 5)) for _ in range(3)]
        doomed = spawn.Process(target=ask, args=(dsn, upstream.url, 1000))
        for worker in [*workers, doomed]:
            worker.start()
        upstream.wait_for(6)
        doomed.kill()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
    times = sorted(upstream.arrivals)
    assert len(times) >= 15
    most = max(sum(start <= at < start + 1 - ON_ITS_WAY for at in times) for start in times)
    assert most <= 4


def test_a_request_that_was_held_up_counts_from_when_it_is_let_through(dsn: str) -> None:
    bucket = _Bucket(pool(dsn), "held_up", [Rate(1, Duration.HOUR)])
    assert bucket.put(RateItem("held up", bucket.now() - Duration.HOUR.value))
    assert not bucket.put(RateItem("next", bucket.now()))


def test_only_what_still_counts_is_kept(dsn: str) -> None:
    wait = limiter(dsn, "tidy", FOUR_A_SECOND)
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        conn.execute("insert into ops.ratelimit___tidy values ('old', 1, localtimestamp - interval '2 minutes')")
        conn.commit()
        wait.try_acquire("new")
        assert conn.execute("select name from ops.ratelimit___tidy").fetchall() == [("new",)]


def test_a_server_of_our_own_has_no_budget() -> None:
    wait = unlimited()
    assert all(wait.try_acquire("x") for _ in range(100_000))


def test_a_database_that_is_away_is_said_and_nothing_is_asked() -> None:
    away = "postgresql://someone:t0psecret@127.0.0.1:1/nowhere"
    pool(away).timeout = 0.1
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1:1/nowhere cannot be used.*make up") as raised:
        limiter(away, "fred", FOUR_A_SECOND)
    assert "t0psecret" not in str(raised.value)


@pytest.mark.parametrize("source", load_catalog().sources.values(), ids=lambda source: source.slug)
def test_every_source_of_the_catalog_has_a_budget(source: Source, dsn: str) -> None:
    assert limiter(dsn, source.slug, source.rate_limit).try_acquire("x")


def test_the_strictest_limit_holds() -> None:
    rates = _rates(RateLimit(per_minute=180, min_interval_seconds=10))
    assert [(rate.limit, rate.interval) for rate in rates] == [(1, 10_000)]
    rates = _rates(RateLimit(per_minute=120, per_second=3))
    assert [(rate.limit, rate.interval) for rate in rates] == [(3, 1000), (120, 60_000)]
