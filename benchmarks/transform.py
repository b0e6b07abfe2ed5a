"""What a transform costs from scratch, and what a run with little news costs on ever longer histories.

`100x` is twenty years of the Fed's series and a hundred days of minutes and hours, for every feature whose source has a
connector; `1x` and `10x` are the first hundredth and tenth of it.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import psycopg

from benchmarks.database import database
from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.catalog.sync import sync
from feature_store.pipeline.transform import Transformed, transform
from feature_store.settings import Settings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_LENGTHS = {"klines_1m": "1 minute", "klines_1h": "1 hour"}
FED_DAYS, MINUTE_DAYS = 7300, 100
REPEATS = 3

_FETCH = "insert into raw.fetches (source, stream, endpoint, url, fetched_at) values ('fred', '', '', '', %(now)s)"
# Seasoned enough for factors to have something to find; figures in the units that the sources state.
_FED = """
insert into raw.fred_observations
  (series, ts, vintage_date, value, unit, fetch_id, fetched_at, available_at, available_basis)
select series, day, day::date + 1, level * (1 + 0.1 * sin(extract(doy from day) / 58) + random() / 50), unit, 1,
       %(now)s, day + interval '44 hours', 'vintage'
from (values ('WALCL', 7000000, 'Millions of U.S. Dollars', 3), ('WTREGEN', 700000, 'Millions of U.S. Dollars', 3),
             ('RRPONTSYD', 500, 'Billions of US Dollars', null)) as given (series, level, unit, weekday),
     generate_series(%(since)s, %(until)s, interval '1 day') as day
where extract(isodow from day) < 6 and (weekday is null or extract(isodow from day) = weekday)
"""
_CANDLES = """
insert into raw.binance_{stream}
  (series, ts, close, quote_volume, fetch_id, fetched_at, available_at, available_basis)
select series, ts, 90000 + 1000 * random(), 1e8 * (1.5 + sin(extract(hour from ts) / 3.8) + random()), 1, %(now)s,
       ts + interval '{length}' + interval '2 seconds', 'schedule'
from unnest(array['BTCUSDT', 'ETHUSDT']) as series,
     generate_series(%(since)s, %(until)s - interval '{length}', interval '{length}') as ts
"""
_FUNDING = """
insert into raw.binance_funding_rate (series, ts, funding_rate, fetch_id, fetched_at, available_at, available_basis)
select 'BTCUSDT', ts, random() / 1000, 1, %(now)s, ts + interval '5 seconds', 'schedule'
from generate_series(%(since)s, %(until)s, interval '8 hours') as ts
"""


def main() -> None:
    """Print the figures of each length of history."""
    for scale in map(int, sys.argv[1:] or ("1", "10", "100")):
        with tempfile.TemporaryDirectory() as folder, store(Path(folder)) as (conn, settings):
            measure(conn, settings, scale)


def measure(conn: psycopg.Connection, settings: Settings, scale: int) -> None:
    """Build a history from scratch, then run on the news of a minute, of an hour and of a day of repos."""
    fill(conn, scale)
    today = NOW.replace(hour=0)
    _timed(f"{scale}x: from scratch", conn, settings)

    at = NOW
    for what, step, stream in (
        ("one minute", timedelta(minutes=1), "klines_1m"),
        ("one hour", timedelta(hours=1), "klines_1h"),
    ):
        for _ in range(REPEATS):
            at += step
            clock.freeze(conn, at + timedelta(seconds=3))
            add_candles(conn, stream, at - step, at)
            _timed(f"{scale}x: {what} of news", conn, settings)
    clock.freeze(conn, NOW + timedelta(hours=9))  # the repos of yesterday are out
    _add(conn, _FED, today - timedelta(days=1), today - timedelta(days=1))
    _timed(f"{scale}x: one day of the Fed's", conn, settings)
    _timed(f"{scale}x: no news", conn, settings)
    _timed(f"{scale}x: everything again", conn, settings, full_refresh=True)


def fill(conn: psycopg.Connection, scale: int) -> None:
    """Raw rows of the first `scale` hundredths of the history, up to NOW, where the clock is frozen."""
    clock.freeze(conn, NOW)
    today = NOW.replace(hour=0)
    conn.execute(_FETCH, {"now": NOW})
    _add(conn, _FED, today - timedelta(days=FED_DAYS * scale / 100), today - timedelta(days=2))
    for stream in _LENGTHS:
        add_candles(conn, stream, NOW - timedelta(days=MINUTE_DAYS * scale / 100), NOW)
    _add(conn, _FUNDING, NOW - timedelta(days=MINUTE_DAYS * scale / 100), NOW - timedelta(hours=4))


def add_candles(conn: psycopg.Connection, stream: str, since: datetime, until: datetime) -> None:
    """Candles of a stream of Binance with since <= ts < until."""
    _add(conn, _CANDLES.format(stream=stream, length=_LENGTHS[stream]), since, until)


def _add(conn: psycopg.Connection, query: str, since: datetime, until: datetime) -> None:
    conn.execute(query.encode(), {"since": since, "until": until, "now": clock.now(conn)})
    conn.commit()


def _timed(what: str, conn: psycopg.Connection, settings: Settings, *, full_refresh: bool = False) -> None:
    began = perf_counter()
    done: Transformed = transform(conn, load_catalog(), settings, what, full_refresh)
    sys.stdout.write(f"transform, {what}: {perf_counter() - began:.1f} s ({done.appended:,} versions appended)\n")


@contextmanager
def store(folder: Path) -> Iterator[tuple[psycopg.Connection, Settings]]:
    """A store with the catalog and nothing else, on a server of its own."""
    with database(folder / "postgres") as dsn, psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        sync(conn, load_catalog())
        conn.commit()
        yield conn, Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=folder)


if __name__ == "__main__":
    main()
