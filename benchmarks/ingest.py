"""Rows per second through land, read and load: a year of one-minute candles of two symbols, in one process."""

import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter

import psycopg

from benchmarks.database import database
from feature_store.catalog import SeriesSpec, load_catalog
from feature_store.sources import binance
from feature_store.sources.contract import Payload, Window
from feature_store.warehouse.ingest import Loader, land_and_read
from feature_store.warehouse.landing import Place

START, DAYS = datetime(2025, 1, 1, tzinfo=UTC), 365
PLACE = Place("binance", "klines_1m", "UTC")
PAGES_A_CHUNK = 8
"""As the catalog's chunk of five days makes them."""


def main() -> None:
    """Print the figures of a first load and of the same answers fetched again."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder, "postgres")) as dsn:
        pages = Path(folder, "pages")
        pages.mkdir()
        every_series = load_catalog().series("binance", "klines_1m")
        for series in every_series:
            _write_pages(pages, series.name)
        for what in ("first load", "the same again"):
            measure(dsn, every_series, pages, what)


def measure(dsn: str, every_series: tuple[SeriesSpec, ...], pages: Path, what: str) -> None:
    """Land, read and load the year as `ingest` does it, with answers that lie on disk."""
    rows, loaded, memory = 0, 0, []
    began = perf_counter()
    for series in every_series:
        answers_on_disk = _pages(pages, series.name)
        with (
            psycopg.connect(dsn, options="-c timezone=UTC") as conn,
            psycopg.connect(dsn, options="-c timezone=UTC") as beside,
            ThreadPoolExecutor(1) as executor,
        ):
            loader = Loader(beside, PLACE, series, Window(START, START + timedelta(days=DAYS)), is_tail=False)
            loading = executor.submit(lambda: None)
            while chunk := list(islice(answers_on_disk, PAGES_A_CHUNK)):
                answers, _ = land_and_read(conn, PLACE, series, binance.parse, iter(chunk), "bench")
                loading.result()
                loading = executor.submit(loader.load, answers, None)
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            loading.result()
        rows, loaded = rows + loader.total.fetched, loaded + loader.total.loaded
    seconds = perf_counter() - began
    sys.stdout.write(
        f"ingest, {what}: {rows / seconds:,.0f} rows/s ({rows:,} rows, {loaded:,} loaded, {seconds:.1f} s; peak memory "
        f"after a tenth {memory[len(memory) // 10]} MB, at the end {memory[-1]} MB)\n"
    )


def _pages(folder: Path, symbol: str) -> Iterator[Payload]:
    for path in sorted(folder.glob(f"{symbol}.*.json")):
        _, _, start, end, _ = path.name.split(".")
        params = {"symbol": symbol, "interval": "1m", "startTime": start, "endTime": end, "limit": "1000"}
        content = path.read_bytes()
        yield Payload(binance.KLINES, "http://bench/klines", params, 200, "application/json", content, 1, START)


def _write_pages(folder: Path, symbol: str) -> None:
    random = Random(symbol)  # noqa: S311 - not for secrets
    price, begin = 60_000.0, round(START.timestamp() * 1000)
    for first in range(0, DAYS * 1440, binance.ROWS_A_CALL):
        rows = []
        for minute in range(first, min(first + binance.ROWS_A_CALL, DAYS * 1440)):
            opened = begin + minute * 60_000
            last = price * (1 + random.gauss(0, 1e-4))
            high, low, volume = max(price, last) * 1.0001, min(price, last) * 0.9999, random.random() * 30
            rows.append([
                opened, f"{price:.8f}", f"{high:.8f}", f"{low:.8f}", f"{last:.8f}", f"{volume:.8f}", opened + 59_999,
                f"{volume * last:.8f}", 617, f"{volume / 2:.8f}", f"{volume * last / 2:.8f}", "0",
            ])  # fmt: skip
            price = last
        path = folder / f"{symbol}.{first:07}.{rows[0][0]}.{rows[-1][0]}.json"
        path.write_text(json.dumps(rows, separators=(",", ":")))


if __name__ == "__main__":
    main()
