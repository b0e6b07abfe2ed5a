"""Minutes from Binance to features: open candles, chunks that are resumed, snapshots, days lived through."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from feature_store.errors import Malformed, OutOfReach
from feature_store.sources.contract import Window
from feature_store.warehouse.ingest import ingest
from feature_store.warehouse.loading import Counts
from tests.replay.server import candle, candles, ms, write

from .store import Store

DAY = datetime(2024, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PRICE, VOLUME, FUNDING = "crypto/btc/price_usd", "cex/binance/btcusdt_volume_usd", "cex/binance/btcusdt_funding_rate"


@pytest.fixture
def served(store: Store) -> Store:
    """Twelve days of BTCUSDT minutes without two of them, a few of ETHUSDT, three settlements."""
    rows = [candle("2024-03-01T00:00:00Z", at, 100 + at % 50) for at in range(12 * 1440) if at not in (7, 8)]
    candles(store.folder, "BTCUSDT", rows)
    candles(store.folder, "ETHUSDT", [candle("2024-03-01T00:00:00Z", at, 10) for at in range(30)])
    settled = """ts,value,mark_price
2024-03-01T00:00:00.013Z,0.0001,61000.5
2024-03-01T08:00:00.000Z,-0.0002,
2024-03-01T12:00:00.047Z,0.0003,62000
"""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        write(store.folder, symbol, settled, "binance/funding_rate")
    return store


def load(store: Store, stream: str, window: Window | None = None, series: str = "BTCUSDT") -> Counts:
    spec = next(spec for spec in store.catalog.series("binance", stream) if spec.name == series)
    return ingest(store.conn, store.catalog, store.settings, spec, window, "test")


def raw(store: Store, stream: str, columns: str) -> list[tuple[object, ...]]:
    query = f"select {columns} from raw.binance_{stream} where series = 'BTCUSDT' order by ts, fetch_id, reading"
    return store.conn.execute(query.encode()).fetchall()


def test_an_open_candle_stays_in_raw_and_its_last_price_becomes_the_version(served: Store) -> None:
    served.at(DAY + 2 * MINUTE + timedelta(seconds=30))
    load(served, "klines_1m")
    assert raw(served, "klines_1m", "ts, is_provisional, available_basis") == [
        (DAY, False, "schedule"),
        (DAY + MINUTE, False, "schedule"),
        (DAY + 2 * MINUTE, True, "ingested"),
    ]
    assert served.transform() == 2
    served.at(DAY + 3 * MINUTE + timedelta(seconds=2))
    load(served, "klines_1m")
    assert served.transform() == 1
    last = served.conn.execute(
        """select ts, value, available_at, available_basis, is_provisional from features.features_versions
           where feature_id = %s order by ts desc limit 1""",
        (PRICE,),
    ).fetchone()
    assert last == (DAY + 2 * MINUTE, 103.0, DAY + 3 * MINUTE + timedelta(seconds=2), "schedule", False)


def test_a_closed_candle_is_not_final_before_two_seconds_have_passed(served: Store) -> None:
    served.at(DAY + 3 * MINUTE + timedelta(seconds=1))
    load(served, "klines_1m")
    assert raw(served, "klines_1m", "is_provisional")[2:] == [(True,), (True,)]


def test_living_minute_by_minute_ends_as_loading_it_later(served: Store) -> None:
    for minute in (1, 2, 3, 9, 10, 11, 25):
        served.at(DAY + minute * MINUTE + timedelta(seconds=5))
        for stream in ("klines_1m", "klines_1h", "funding_rate"):
            load(served, stream)
        served.transform()
    served.at(DAY + HOUR + timedelta(seconds=5))
    for stream in ("klines_1m", "klines_1h", "funding_rate"):
        load(served, stream)
    served.transform()
    lived = served.hash()
    served.forget()
    for stream in ("klines_1m", "klines_1h", "funding_rate"):
        load(served, stream)
    served.transform()
    assert served.hash() == lived


def test_the_hour_s_volume_and_the_settled_rate_become_features(served: Store) -> None:
    served.at(DAY + 13 * HOUR + 30 * MINUTE)
    load(served, "klines_1h")
    load(served, "funding_rate")
    served.transform()
    assert len(raw(served, "klines_1h", "ts")) == 14, "thirteen whole hours and the open one"
    rates = served.conn.execute(
        "select ts, value from features.features_values where feature_id = %s order by ts", (FUNDING,)
    ).fetchall()
    assert rates == [(DAY, 0.0001), (DAY + 8 * HOUR, -0.0002), (DAY + 12 * HOUR, 0.0003)]
    assert raw(served, "funding_rate", "mark_price is null") == [(False,), (True,), (False,)]
    volume = served.conn.execute(
        "select value from features.features_values where feature_id = %s and ts = %s", (VOLUME, DAY)
    ).fetchone()
    minutes = served.conn.execute(
        "select 2.5 * sum(100 + at % 50) from generate_series(0, 59) as at where at not in (7, 8)"
    ).fetchone()
    assert volume == (float(minutes[0]),)  # type: ignore[index]


def test_the_live_tail_asks_again_only_for_its_overlap(served: Store) -> None:
    served.at(DAY + 10 * HOUR)
    assert load(served, "klines_1m").loaded == 600 - 2
    served.at(DAY + 10 * HOUR + MINUTE)
    assert load(served, "klines_1m").fetched <= 7


WINDOW = Window(DAY, DAY + timedelta(days=12))
ALL = 12 * 1440 - 2

IN_A_PROCESS = """
import sys
from datetime import datetime
from feature_store.catalog import load_catalog
from feature_store.settings import load_settings
from feature_store.sources.contract import Window
from feature_store.warehouse.connection import connect
from feature_store.warehouse.ingest import ingest
catalog, window = load_catalog(), Window(*map(datetime.fromisoformat, sys.argv[1:]))
with connect() as conn:
    ingest(conn, catalog, load_settings(), catalog.series("binance", "klines_1m")[0], window)
"""


def start_loading(store: Store) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "FEATURE_STORE_POSTGRES_DSN": store.settings.postgres_dsn,
        "FEATURE_STORE_REPLAY_URL": store.replay_url,
        "FEATURE_STORE_HOME": str(store.settings.home),
    }
    assert WINDOW.since is not None
    window = (WINDOW.since.isoformat(), WINDOW.until.isoformat())
    return subprocess.Popen([sys.executable, "-c", IN_A_PROCESS, *window], env=environment)


def progress(store: Store) -> datetime | None:
    row = store.conn.execute("select done_until from ops.window_progress where source = 'binance'").fetchone()
    store.conn.commit()
    return row[0] if row else None


def test_a_killed_window_goes_on_where_its_last_whole_chunk_ended(served: Store) -> None:
    served.at(DAY + timedelta(days=20))
    process = start_loading(served)
    while progress(served) is None:
        assert process.poll() is None, "it ended before a chunk was whole"
    served.fault(kind="timeout", seconds=600, source="binance", count=None)
    process.kill()
    process.wait()
    served.clear_faults()
    done = progress(served)
    assert done is not None
    assert DAY < done < WINDOW.until
    asked = served.count("raw.fetches")
    load(served, "klines_1m", WINDOW)
    again = served.conn.execute(
        "select min(params ->> 'startTime') from raw.fetches where fetch_id > %s", (asked,)
    ).fetchone()
    assert again == (str(ms(done.isoformat())),), "what was whole is not asked for again"
    assert served.count("raw.binance_klines_1m") == ALL
    assert progress(served) is None
    assert load(served, "klines_1m", WINDOW).loaded == 0, "a whole window is asked for again, and adds nothing"


def test_the_counts_of_every_fetch_add_up(served: Store) -> None:
    served.at(DAY + timedelta(days=20))
    first, second = load(served, "klines_1m", WINDOW), load(served, "klines_1m", WINDOW)
    assert first == Counts(fetched=ALL, loaded=ALL)
    assert second == Counts(fetched=ALL, duplicate=ALL)
    assert served.conn.execute(
        """select sum(rows_fetched), sum(rows_loaded), sum(rows_duplicate),
                  bool_and(rows_fetched = rows_loaded + rows_duplicate + rows_rejected) from raw.fetches"""
    ).fetchone() == (2 * ALL, ALL, ALL, True)


def test_a_window_reaches_no_further_than_now_and_not_into_the_future(served: Store) -> None:
    served.at(DAY + HOUR)
    assert load(served, "klines_1m", WINDOW).loaded == 60 - 2
    with pytest.raises(OutOfReach, match="starts at"):
        load(served, "klines_1m", Window(DAY + timedelta(days=2), DAY + timedelta(days=3)))


def test_a_snapshot_never_answers_for_the_past(served: Store) -> None:
    served.at(DAY + HOUR)
    with pytest.raises(OutOfReach, match="only for now"):
        load(served, "ticker_24h", WINDOW)
    assert served.count("raw.binance_ticker_24h") == 0
    assert served.count("raw.fetches") == 0, "it was not even asked"
    assert load(served, "ticker_24h").loaded == 1
    ((ts, opened),) = raw(served, "ticker_24h", "ts, open_time")
    assert isinstance(ts, datetime)
    assert DAY + HOUR - MINUTE < ts <= DAY + HOUR
    assert ts - timedelta(hours=24) - timedelta(milliseconds=1) <= opened <= ts - timedelta(hours=24) + MINUTE  # type: ignore[operator]


def test_one_bad_page_is_rejected_and_the_others_of_its_chunk_are_loaded(served: Store) -> None:
    served.at(DAY + timedelta(days=20))
    served.fault(kind="scaled", field="2", factor="0.01", source="binance", path="klines")
    with pytest.raises(Malformed, match="contradict"):
        load(served, "klines_1m", WINDOW)
    outcomes = dict(served.conn.execute("select outcome, count(*) from raw.fetches group by 1").fetchall())
    assert outcomes["rejected"] == 1
    assert outcomes["loaded"] >= 1
    served.conn.commit()
    load(served, "klines_1m", WINDOW)
    assert served.count("raw.binance_klines_1m") == ALL
