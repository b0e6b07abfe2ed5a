"""A year of one-minute data of 50 features: exported, put into the history, retired, queried and restored.

`python -m benchmarks.archive_year [features]`. Each stage is a process of its own, whose peak memory is printed.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

import numpy as np
import psycopg
import pyarrow as pa

from benchmarks.export import FETCHES, POINTS, _servers
from feature_store.archive import commit_history, export, retire, set_up, tidy_history
from feature_store.archive.restore import restore_range
from feature_store.catalog import Catalog, load_catalog
from feature_store.catalog.sync import sync
from feature_store.serving import QueryLayer
from feature_store.settings import Settings, load_settings

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
MONTHS = [date(2025, month, 1) for month in range(1, 13)]


def main() -> None:
    """Run all stages, one after the other, on servers of their own."""
    features = sys.argv[1] if len(sys.argv) > 1 else "50"
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as settings:
        set_up(settings)
        env = {
            **os.environ,
            "FEATURE_STORE_HOME": str(settings.home),
            "FEATURE_STORE_POSTGRES_DSN": settings.postgres_dsn,
            "FEATURE_STORE_PORT_S3": str(settings.port_s3),
        }
        for stage in STAGES:
            subprocess.run([sys.executable, "-m", __spec__.name, features, stage], env=env, check=True)


def stage(name: str, features: int) -> None:
    """Run one stage in this process and print what it did."""
    settings = load_settings()
    with psycopg.connect(settings.postgres_dsn, options="-c timezone=UTC") as conn:
        started = perf_counter()
        said = STAGES[name](conn, settings, features)
        seconds = perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{name}: {said} in {seconds:,.1f} s, peak memory {peak} MB\n")
    sys.stdout.flush()


def _append(conn: psycopg.Connection, _: Settings, features: int) -> str:
    conn.execute(FETCHES)
    sync(conn, _catalog(features))
    total = 0
    for month in MONTHS:
        until = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC) - timedelta(minutes=1)
        asked = {"name": "y", "features": features, "grain": "intraday", "step": "1 minute"}
        psycopg.ClientCursor(conn).execute(POINTS, {**asked, "since": month, "until": until})
        total += conn.execute("select inserted from features.append_versions('batch')").fetchall()[0][0]
        conn.execute("drop table batch")
        conn.commit()
    return f"{total:,} versions"


def _retire(conn: psycopg.Connection, settings: Settings, _: int) -> str:
    return str(retire(conn, settings, load_catalog()))


def _query(_: psycopg.Connection, settings: Settings, features: int) -> str:
    layer, names = QueryLayer(settings, _catalog(features)), _names(features)
    said = []
    for title, ask in {
        "a feature's year": lambda: layer.query(names[:1]),
        "a day of all features": lambda: layer.query(
            names, datetime(2025, 6, 15, tzinfo=UTC), datetime(2025, 6, 16, tzinfo=UTC)
        ),
        "100,000 instants of 10 features, cold": lambda: layer.historical(_spine(), names[:10]),
        "again, warm": lambda: layer.historical(_spine(), names[:10]),
    }.items():
        started = perf_counter()
        rows = ask().num_rows
        said.append(f"{title}: {rows:,} rows {perf_counter() - started:.2f} s")
    started = perf_counter()
    with layer.stream(names) as batches:
        rows = sum(batch.num_rows for batch in batches)
    return "; ".join([*said, f"everything, streamed: {rows:,} rows {perf_counter() - started:.1f} s"])


def _restore(_: psycopg.Connection, settings: Settings, features: int) -> str:
    return f"{restore_range(settings, _names(features), FIRST, LAST):,} versions"


def _catalog(features: int) -> Catalog:
    minute = load_catalog().feature("crypto/btc/price_usd")
    named = {name: minute.model_copy(update={"id": name}) for name in _names(features)}
    return replace(load_catalog(), features=MappingProxyType(named))


def _names(features: int) -> list[str]:
    return [f"bench/y{number}" for number in range(1, features + 1)]


def _spine() -> pa.Table:
    first, last = (int(datetime(2025, month, 1, tzinfo=UTC).timestamp()) * 10**6 for month in (2, 12))
    at = np.random.default_rng(7).integers(first, last, 100_000)
    return pa.table({"at": pa.array(at).cast(pa.timestamp("us", "UTC"))})


STAGES: dict[str, Callable[[psycopg.Connection, Settings, int], str]] = {
    "append": _append,
    "export": lambda conn, settings, _: str(export(conn, settings)),
    "history": lambda conn, settings, _: f"{commit_history(conn, settings):,} versions",
    "retire": _retire,
    "tidy": lambda conn, settings, _: str(tidy_history(conn, settings)),
    "query": _query,
    "restore": _restore,
}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        stage(sys.argv[2], int(sys.argv[1]))
    else:
        main()
