"""Ten minutes of eight connections while the store takes in data: no request is lost, and memory stays as it is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from threading import Event, Thread
from time import monotonic

import httpx
import psutil
import psycopg
import pytest

from feature_store.catalog import load_catalog
from feature_store.serving.keys import create_key
from feature_store.stack.processes import stack_processes

from .running import Running
from .test_api_service import cmdline

CONNECTIONS, SECONDS, WARM_SECONDS = 8, 600, 120
GROWTH = 32 * 1024**2
"""What it may take more at the end than when it was warm: a leak of 100 bytes a request is several times that."""

FEATURES = list(load_catalog().features)[:21]
PRICE = "crypto/btc/price_usd"
Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


async def latest(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/v1/latest", params={"featureIds": ",".join(FEATURES)})


async def page(client: httpx.AsyncClient) -> httpx.Response:
    asked = {"featureIds": PRICE, "since": "2025-06-01T00:00:00Z", "limit": "500"}
    return await client.get("/v1/query", params=asked, headers={"Accept": "text/csv"})


async def joined(client: httpx.AsyncClient) -> httpx.Response:
    spine = [{"at": f"2025-06-{day:02}T21:00:00Z"} for day in range(2, 28)]
    return await client.post("/v1/historical", json={"spine": spine, "featureIds": FEATURES[:5]})


async def published(client: httpx.AsyncClient) -> httpx.Response:
    point = {"featureId": "crypto/etf/btc_net_flow_usd", "ts": "2025-06-03T00:00:00Z", "value": monotonic() % 1e6}
    return await client.post("/v1/publish", json={"points": [point]})


ASKED: list[Ask] = [latest] * 5 + [page, joined, published]
"""What each connection asks for, again and again."""


async def load(url: str, key: str, statuses: dict[int, int]) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    end = monotonic() + SECONDS

    async def one(ask: Ask) -> None:
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=None) as client:
            while monotonic() < end:
                status = (await ask(client)).status_code
                statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(one(ask) for ask in ASKED))


def memory(stack: Running) -> int:
    """What the API's processes hold, in bytes."""
    found = [process for process in stack_processes(stack.home) if "feature_store.serving.api" in cmdline(process)]
    return sum(process.memory_info().rss for process in found if process.status() != psutil.STATUS_ZOMBIE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_minutes_lose_no_request_and_memory_stays_flat_while_data_arrives(stack: Running) -> None:
    with psycopg.connect(stack.handles["postgres_dsn"]) as conn:
        key = create_key(conn, "soak", ["read", "publish"], rate_limit_rpm=0).token
    statuses: dict[int, int] = {}
    loading = Thread(target=lambda: asyncio.run(load(stack.handles["api_url"], key, statuses)))
    before = newest(stack)
    began, warm, grown, stop = monotonic(), 0, [0], Event()
    loading.start()
    while loading.is_alive():
        stack.call("replay", "clock", "advance", "--minutes", "1")
        stack.run("ingest_binance")
        held = memory(stack)
        if monotonic() - began < WARM_SECONDS:
            warm = max(warm, held)
        grown.append(held - warm)
        stop.wait(1)
    loading.join()
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 10_000
    assert sorted(grown[-5:])[2] < GROWTH, f"{warm} bytes when warm, then {grown}"
    assert newest(stack) >= before + timedelta(minutes=3), "data arrived meanwhile"


def newest(stack: Running) -> datetime:
    """The newest price's ts."""
    [(ts,)] = stack.rows(f"select ts from features.latest_values where feature_id = '{PRICE}'")
    assert isinstance(ts, datetime)
    return ts
