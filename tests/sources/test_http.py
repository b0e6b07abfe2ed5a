"""HTTP for connectors: patience, budgets shared through the database, and no key anywhere."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import httpx
import psycopg
import pytest

from feature_store.catalog import Source, load_catalog
from feature_store.catalog.contracts import RateLimit
from feature_store.errors import Refused, Retriable, TooFast
from feature_store.sources import http as http_module
from feature_store.sources.budget import _rates, limiter
from feature_store.sources.http import Http, _wait_for
from tests.replay.server import Wall, serving, write

SECRET = "k" * 32


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    """A replayed FRED with one series."""
    write(tmp_path, "WALCL", "ts,value,available_at\n2024-01-03,1,2024-01-04T21:30:00Z\n")
    with serving(tmp_path, Wall("2024-03-01T12:00:00+00:00")) as url:
        yield url


@pytest.fixture
def http(upstream: str, dsn: str) -> Iterator[Http]:
    with Http(f"{upstream}/fred", limiter(dsn, "fred", RateLimit(per_minute=1000)), {"api_key": SECRET}) as client:
        yield client


ASKED = {"series_id": "WALCL", "file_type": "json"}


def test_an_answer_carries_its_request_but_no_secret(http: Http, upstream: str) -> None:
    payload = http.get("series", ASKED)
    assert payload.url == f"{upstream}/fred/series?series_id=WALCL&file_type=json"
    assert (payload.status, dict(payload.params)) == (200, ASKED)
    assert SECRET not in repr(payload)


def test_a_key_is_in_no_log_and_in_no_error(http: Http, upstream: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused) as refused:
        http.get("series", {**ASKED, "series_id": "NOPE"})
    http.get("series", ASKED)
    assert SECRET not in f"{refused.value!r}{caplog.text}"


def test_a_source_that_echoes_the_key_is_redacted(http: Http, upstream: str) -> None:
    fault = {"kind": "status", "status": 400, "message": f"api_key {SECRET} is odd"}
    httpx.post(f"{upstream}/_faults", json=fault).raise_for_status()
    with pytest.raises(Refused, match=r"api_key \*\*\* is odd"):
        http.get("series", ASKED)


def test_what_may_pass_is_tried_again(http: Http, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "SLOW_DOWN_SECONDS", 0.01)
    httpx.post(f"{upstream}/_faults", json={"kind": "status", "status": 503, "count": 1}).raise_for_status()
    httpx.post(f"{upstream}/_faults", json={"kind": "status", "status": 429, "count": 1}).raise_for_status()
    assert http.get("series", ASKED).status == 200


def test_patience_follows_the_source_and_doubles_where_it_says_nothing() -> None:
    assert _wait_for(TooFast("slow down", wait_seconds=7), 1) == 7
    assert [_wait_for(TooFast("slow down"), tries) for tries in (1, 2, 3)] == [20, 40, 80]
    assert _wait_for(TooFast("slow down", wait_seconds=86_400), 1) == http_module.LONGEST_WAIT_SECONDS
    assert _wait_for(Retriable("busy"), 1) is True
    assert _wait_for(Refused("no"), 1) is False


def test_the_budget_is_shared_through_the_database(dsn: str) -> None:
    """Six requests by three clients at two a second cannot be done in less than two seconds."""
    limit = RateLimit(per_minute=100, per_second=2)
    limiters = [limiter(dsn, "shared", limit) for _ in range(3)]
    started = monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: limiters[n % 3].try_acquire("x"), range(6)))
    assert monotonic() - started >= 2.0
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select count(*) from ops.ratelimit___shared").fetchone() == (6,)


@pytest.mark.parametrize("source", load_catalog().sources.values(), ids=lambda source: source.slug)
def test_every_source_of_the_catalog_has_a_budget(source: Source, dsn: str) -> None:
    assert limiter(dsn, source.slug, source.rate_limit).try_acquire("x")


def test_the_strictest_limit_holds() -> None:
    rates = _rates(RateLimit(per_minute=180, min_interval_seconds=10))
    assert [(rate.limit, rate.interval) for rate in rates] == [(1, 10_000)]
    rates = _rates(RateLimit(per_minute=120, per_second=3))
    assert [(rate.limit, rate.interval) for rate in rates] == [(3, 1000), (120, 60_000)]
