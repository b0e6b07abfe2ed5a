"""A full disk under the database: a clear error, nothing half-loaded, and all of it once there is room."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from feature_store.catalog.sync import sync
from feature_store.errors import WarehouseError
from feature_store.pipeline.streams import Arrived, ingest_stream
from feature_store.pipeline.transform import transform
from feature_store.sources.contract import Window
from feature_store.stack.postgres import scratch_postgres
from feature_store.warehouse.migrate import migrate
from tests.replay.server import candle, candles

from .conftest import NAME
from .store import Store, open_store, shipped

DAY = datetime(2024, 3, 1, tzinfo=UTC)
DAYS = 6
ROWS = 2 * DAYS * 1440
SIZE, ROOM = 256 * 1024**2, 2 * 1024**2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def store(disk: Path, tmp_path: Path) -> Iterator[Store]:
    """A store whose database lies on the small disk."""
    with scratch_postgres(disk) as server:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(f"create database {NAME}".encode())
        dsn = psycopg.conninfo.make_conninfo(server, dbname=NAME)
        migrate(dsn)
        with psycopg.connect(dsn) as conn:
            sync(conn, shipped())
        with open_store(dsn, tmp_path, shipped()) as store:
            for symbol in ("BTCUSDT", "ETHUSDT"):
                rows = [candle(DAY.isoformat(), at, 10_000 + at) for at in range(DAYS * 1440)]
                candles(store.folder, symbol, rows)
            yield store


def load(store: Store) -> Arrived:
    window = Window(DAY, DAY + timedelta(days=DAYS))
    return ingest_stream(store.conn, store.catalog, store.settings, ("binance", "klines_1m"), window, "test")


def fill(disk: Path) -> Path:
    """A file that takes all but a little room."""
    ballast = disk / "ballast"
    with ballast.open("wb") as handle:
        while shutil.disk_usage(disk).free > ROOM:
            handle.write(bytes(2**16))
            handle.flush()
    return ballast


def test_a_full_disk_is_told_and_what_is_missing_arrives_once_there_is_room(store: Store, disk: Path) -> None:
    store.at(DAY + timedelta(days=20))
    for statement in ("select pg_switch_wal()", "checkpoint"):
        store.conn.execute(statement)  # the log has a segment ahead of it: it is the tables that will find no room
        store.conn.commit()
    ballast = fill(disk)
    with pytest.raises(WarehouseError, match=r"No space left on device.*Make room"):
        load(store)
    store.conn.rollback()
    assert store.count("raw.binance_klines_1m") < ROWS
    assert store.conn.execute(
        """select count(*) from raw.fetches as f
           where rows_fetched <> rows_loaded + rows_duplicate + rows_rejected
             or rows_loaded <> (select count(*) from raw.binance_klines_1m as k where k.fetch_id = f.fetch_id)"""
    ).fetchone() == (0,), "an answer has all of its rows or none"
    store.conn.commit()

    ballast.unlink()
    assert load(store).failures == {}
    assert store.count("raw.binance_klines_1m") == ROWS
    transform(store.conn, store.catalog, store.settings, "test")
    disturbed = store.hash()
    store.forget()
    load(store)
    transform(store.conn, store.catalog, store.settings, "test")
    assert store.hash() == disturbed
