"""Export to Parquet against bare pyarrow: rows and files per second, and peak memory as the data grows."""

import io
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep

import psycopg
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from feature_store.archive import export, set_up
from feature_store.archive.s3 import CONNECTIONS, Bucket, open_bucket
from feature_store.settings import Settings
from feature_store.stack.ports import free_port
from feature_store.stack.postgres import Postgres
from feature_store.stack.s3 import S3
from feature_store.stack.secrets import ensure_secrets
from feature_store.warehouse.migrate import migrate

# A fetch for each thousand rows, as the answers of a source have it.
POINTS = """
create table batch as
select 'bench/' || %(name)s || f as feature_id, 1 as version, %(grain)s as grain, ts, random() * 1e5 as value,
       ts + interval '62 seconds' as available_at, 'schedule'::text as available_basis, false as is_provisional,
       0.99::double precision as confidence, '{}'::jsonb as meta,
       jsonb_build_array(jsonb_build_object('fetch', 1 + nth / 1000 %% 2000)) as evidence
from generate_series(1, %(features)s) as f,
     generate_series(%(since)s, %(until)s, %(step)s::interval) with ordinality as points (ts, nth)
"""
FETCHES = """
insert into raw.fetches (source, stream, endpoint, url, fetched_at)
select 'bench', 'bench', '/klines', 'https://bench.test/klines?symbol=BTCUSDT&interval=1m&limit=1000&startTime=' || n,
       '2026-01-01'
from generate_series(1, 2000) as n
"""
DAYS = {"since": "2024-01-01", "until": "2024-02-04 23:59", "grain": "intraday", "step": "1 minute"}
MINUTES, TEN_TIMES = {**DAYS, "name": "a", "features": 2}, {**DAYS, "name": "b", "features": 20}
DAILY = {
    "since": "2018-01-01", "until": "2025-12-31", "grain": "daily", "step": "1 day", "name": "c", "features": 1
}  # fmt: skip


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as settings:
        set_up(settings)
        with psycopg.connect(settings.postgres_dsn, options="-c timezone=UTC") as conn:
            conn.execute(FETCHES)
            _measure(conn, settings, "minutes", MINUTES)
            _measure(conn, settings, "minutes, ten times as many", TEN_TIMES)
            _measure(conn, settings, "8 years of a daily feature", DAILY)
            _compare(settings, f"bench/{TEN_TIMES['name']}")
            _compare(settings, f"bench/{DAILY['name']}")


def _measure(conn: psycopg.Connection, settings: Settings, title: str, points: dict[str, object]) -> None:
    psycopg.ClientCursor(conn).execute(POINTS, points)
    conn.execute("select features.append_versions('batch')")
    conn.execute("drop table batch")
    conn.commit()
    started = perf_counter()
    done = export(conn, settings)
    seconds = perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    _say(f"export, {title}", done.rows, done.written, seconds, f"; peak memory {peak} MB")


def _compare(settings: Settings, prefix: str) -> None:
    """The same files written by pyarrow from tables that lie in memory: to memory, and to the same bucket."""
    bucket = open_bucket(settings)
    tables = [pq.read_table(io.BytesIO(bucket.get(uri))) for uri in _uris(bucket, prefix)]
    rows = sum(table.num_rows for table in tables)

    def to_memory(_: int, table: pa.Table) -> None:
        pq.write_table(table, pa.BufferOutputStream())

    s3 = pyarrow.fs.S3FileSystem(
        access_key=settings.secret("s3_access_key"),
        secret_key=settings.secret("s3_secret_key"),
        endpoint_override=f"127.0.0.1:{settings.port_s3}",
        scheme="http",
        region="us-east-1",
    )

    def to_bucket(nth: int, table: pa.Table) -> None:
        pq.write_table(table, f"{bucket.name}/bare/{nth}/dt=2024-01-01/part-0.parquet", filesystem=s3)

    writers: dict[str, tuple[int, Callable[[int, pa.Table], None]]] = {
        "memory": (1, to_memory),
        f"the bucket, {CONNECTIONS} threads": (CONNECTIONS, to_bucket),
    }
    for place, (threads, write) in writers.items():
        with ThreadPoolExecutor(threads) as pool:
            started = perf_counter()
            list(pool.map(write, range(len(tables)), tables))
            _say(f"bare pyarrow to {place}", rows, len(tables), perf_counter() - started, "")


def _uris(bucket: Bucket, prefix: str) -> Iterator[str]:
    for page in bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix):
        yield from (bucket.uri(held["Key"]) for held in page.get("Contents", []))


def _say(title: str, rows: int, files: int, seconds: float, more: str) -> None:
    sys.stdout.write(
        f"{title}: {rows / seconds:,.0f} rows/s, {files / seconds:,.0f} files/s "
        f"({rows:,} rows, {files:,} files, {seconds:.1f} s{more})\n"
    )


@contextmanager
def _servers(home: Path) -> Iterator[Settings]:
    """PostgreSQL and SeaweedFS, empty."""
    held = ensure_secrets(home)
    names = ("s3_access_key", "s3_secret_key", "s3_sse_key", "s3_internal_key")
    s3 = S3(home, free_port(), *(held[name] for name in names))
    database = Postgres(home, free_port(), "benchmark")
    database.init()
    database.start()
    with (home / "s3.log").open("wb") as log:
        server = subprocess.Popen(s3.command(home), env={**os.environ, **s3.environment()}, stdout=log, stderr=log)
    try:
        database.create_database()
        migrate(database.dsn())
        while not s3.is_ready():
            sleep(0.1)
        yield Settings(
            FEATURE_STORE_HOME=home, FEATURE_STORE_POSTGRES_DSN=database.dsn(), FEATURE_STORE_PORT_S3=s3.port
        )
    finally:
        server.terminate()
        server.wait()
        database.stop()


if __name__ == "__main__":
    main()
