"""Milliseconds from a publish to its visibility in latest: of one point and a thousand, new and held already."""

import json
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import psycopg

from benchmarks.database import database
from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.catalog.sync import sync
from feature_store.serving.publishing import Publisher, publish
from feature_store.warehouse.partitions import make_ahead

FEATURE = "crypto/btc/price_usd"
ROUNDS = {1: 200, 1_000: 30}
ADMIN = Publisher("bench", "bench", frozenset({"admin"}))


def main() -> None:
    """Print a line for each size."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as dsn:
        measure(dsn)


def measure(dsn: str) -> None:
    """Publish new points and the same ones again, each request read back from latest_values before the clock stops."""
    catalog = load_catalog()
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        sync(conn, catalog)
        make_ahead(conn, 3)
        conn.commit()
        began = clock.now(conn) - timedelta(minutes=5)
        conn.commit()
        number = 0
        for size, rounds in ROUNDS.items():
            took: dict[str, list[float]] = {"new": [], "held already": []}
            for _ in range(rounds):
                points = []
                for _ in range(size):
                    number += 1
                    # Half a minute apart backwards, but the newest, which latest shows.
                    ts = began - timedelta(minutes=1, seconds=30 * (number % 2_000))
                    points.append({"featureId": FEATURE, "ts": ts.isoformat(), "value": 50_000 + number})
                points[0]["ts"] = (began + timedelta(microseconds=number)).isoformat()
                content = json.dumps({"points": points}).encode()
                for kind, milliseconds in took.items():
                    started = perf_counter()
                    answer = publish(conn, catalog, content, ADMIN)
                    seen = conn.execute("select value from features.latest_values where feature_id = %s", (FEATURE,))
                    assert seen.fetchone() == (points[0]["value"],)
                    milliseconds.append(1000 * (perf_counter() - started))
                    conn.commit()
                    assert (answer.inserted if kind == "new" else answer.duplicate) == size
            for kind, milliseconds in took.items():
                say(f"publish, {size:,} {kind}", milliseconds)


def say(title: str, milliseconds: list[float]) -> None:
    """One line: the median and the 99th percentile."""
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    sys.stdout.write(f"{title}: p50 {statistics.median(milliseconds):.1f} ms, p99 {p99:.1f} ms\n")


if __name__ == "__main__":
    main()
