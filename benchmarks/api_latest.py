"""Requests a second of the API's latest: 21 values a request, 8 connections, one worker, a key with a limit."""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode

import httpx
import psycopg

from benchmarks.database import database
from feature_store.catalog import load_catalog
from feature_store.catalog.sync import sync
from feature_store.serving.keys import create_key
from feature_store.stack.ports import free_port

VALUES, CONNECTIONS, SECONDS = 21, 8, 8.0

CANDIDATES = """
create table batch as
select id as feature_id, version, grain, date_trunc('day', ops.now()) - interval '1 day' as ts,
       random() as value, ops.now() - interval '1 hour' as available_at, 'schedule'::text as available_basis,
       false as is_provisional, 0.99::double precision as confidence, '{"unit": "USD"}'::jsonb as meta,
       '[]'::jsonb as evidence
from registry.features_catalog where is_current
"""


def main() -> None:
    """Print requests a second and how long one takes."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as dsn:
        key, features = fill(dsn)
        with api(dsn, Path(folder)) as port:
            measure(port, key, features)


def fill(dsn: str) -> tuple[str, list[str]]:
    """A point of every feature; gives a key, and the features to ask for."""
    catalog = load_catalog()
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        sync(conn, catalog)
        conn.execute(CANDIDATES)
        conn.execute("select features.append_versions('batch')")
        conn.commit()
        return create_key(conn, "bench", ["read"], rate_limit_rpm=10_000_000).token, list(catalog.features)[:VALUES]


@contextmanager
def api(dsn: str, folder: Path) -> Iterator[int]:
    """The API as it is run, in a process of its own; its port."""
    port = free_port()
    wanted = {"FEATURE_STORE_POSTGRES_DSN": dsn, "FEATURE_STORE_PORT_API": str(port), "FEATURE_STORE_HOME": str(folder)}
    process = subprocess.Popen([sys.executable, "-m", "feature_store.serving.api"], env={**os.environ, **wanted})
    try:
        asyncio.run(_answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()


async def _answers(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)
    raise TimeoutError("the API does not answer")


def measure(port: int, key: str, features: list[str]) -> None:
    """Ask on all connections for some seconds, after a second that does not count."""
    query = urlencode({"featureIds": ",".join(features)})
    request = (
        f"GET /v1/latest?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\nAccept: application/json\r\n\r\n"
    ).encode()
    asyncio.run(_all(port, request, 1.0))
    started = perf_counter()
    times = asyncio.run(_all(port, request, SECONDS))
    rate = len(times) / (perf_counter() - started)
    cuts = statistics.quantiles(times, n=100)
    sys.stdout.write(
        f"API, latest of {len(features)} features, {CONNECTIONS} connections: {rate:,.0f} requests/s, "
        f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms\n"
    )


async def _all(port: int, request: bytes, seconds: float) -> list[float]:
    found = await asyncio.gather(*(_one(port, request, seconds) for _ in range(CONNECTIONS)))
    return [time for times in found for time in times]


async def _one(port: int, request: bytes, seconds: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    end = perf_counter() + seconds
    while (started := perf_counter()) < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        times.append(perf_counter() - started)
    writer.close()
    return times


if __name__ == "__main__":
    main()
