"""Days lived through in minutes, and the last day of a new store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feature_store import clock
from feature_store.archive import set_up
from feature_store.catalog import Catalog, Source
from feature_store.errors import Refused, ReplayError
from feature_store.pipeline.simulate import simulate, steps
from feature_store.pipeline.streams import ingest_stream
from feature_store.pipeline.transform import transform
from feature_store.pipeline.walk import walk_snapshots
from tests.archive.store import Server
from tests.lineage import features_of
from tests.replay.server import candle, candles, write

from .store import Store, shipped

DAY = datetime(2024, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def exchange() -> Catalog:
    """The catalog without the series of sources that are not served here; of FRED everything fails."""
    catalog = shipped()
    served = [catalog.sources[name] for name in ("binance-api", "fred")]
    features = features_of(catalog, [(source.slug, stream) for source in served for stream in source.streams])

    def unasked(source: Source) -> Source:
        streams = {name: stream.model_copy(update={"series": {}}) for name, stream in source.streams.items()}
        return source.model_copy(update={"streams": streams})

    sources = {n: source if source in served else unasked(source) for n, source in catalog.sources.items()}
    return replace(catalog, sources=sources, features={name: catalog.features[name] for name in features})


@pytest.fixture
def served(store: Store) -> Store:
    """Three days of minutes, settlements, and nothing of FRED."""
    for symbol in ("BTCUSDT", "ETHUSDT"):
        candles(store.folder, symbol, [candle("2024-03-01T00:00:00Z", at, 100 + at % 50) for at in range(3 * 1440)])
        settled = "ts,value,mark_price\n2024-03-01T00:00:00.013Z,0.0001,61000.5\n2024-03-01T08:00:00Z,-0.0002,\n"
        write(store.folder, symbol, settled, "binance/funding_rate")
    interest = "ts,sum_open_interest,sum_open_interest_value\n2024-03-01T00:00:00Z,100000.5,6000000000.5\n"
    write(store.folder, "BTCUSDT", interest, "binance/open_interest_hist")
    return store


def test_a_day_lived_through_ends_as_a_day_loaded(served: Store, s3: Server) -> None:
    served.settings = served.settings.model_copy(update={"home": s3.s3.home, "port_s3": s3.s3.port})
    set_up(served.settings)
    catalog = exchange()
    instants = steps(DAY + HOUR, DAY + 13 * HOUR, timedelta(hours=6))
    assert instants == [DAY + HOUR, DAY + 7 * HOUR, DAY + 13 * HOUR]
    lived = simulate(served.conn, catalog, served.settings, instants)
    assert lived.steps == 3
    assert lived.appended > 13 * 60
    assert clock.show(served.conn).mode == "frozen"
    assert clock.now(served.conn) == instants[-1]
    assert lived.failures, "the series of other sources are not served"
    assert not any("/binance/" in failure for failure in lived.failures)
    assert served.count("ops.exported_files") == 5, "two prices, the volume, its twin and the rate of one day"
    hash_lived = served.hash()
    served.forget()
    for slug, stream in (("binance", "klines_1m"), ("binance", "klines_1h"), ("binance", "funding_rate")):
        ingest_stream(served.conn, catalog, served.settings, (slug, stream))
    transform(served.conn, catalog, served.settings, "at once")
    assert served.hash() == hash_lived


def test_simulate_asks_nobody_but_replay_and_does_not_go_back(served: Store) -> None:
    live = served.settings.model_copy(update={"upstream": "live"})
    with pytest.raises(ReplayError, match="replay server alone"):
        simulate(served.conn, shipped(), live, [DAY])
    with pytest.raises(ReplayError, match="lies before"):
        steps(DAY, DAY - MINUTE, MINUTE)


def test_a_new_store_walks_its_snapshots_through_the_last_day(served: Store) -> None:
    now = DAY + timedelta(days=2)
    served.at(now)
    counts = walk_snapshots(served.conn, exchange(), served.settings)
    assert counts.loaded == counts.fetched == (2 + 1 + 1) * 47, "statistics of two, a book, open interest"
    assert served.count("raw.binance_ticker_24h") == 2 * served.count("raw.binance_depth") == 2 * 47
    assert clock.show(served.conn) == clock.Clock("frozen", now)
    assert served.count("ops.window_progress") == 0
    latest = served.conn.execute("select min(ts), max(ts) from raw.binance_ticker_24h").fetchone()
    assert latest is not None
    assert now - timedelta(hours=24) < latest[0] < latest[1] < now


def test_a_walk_that_failed_goes_on_and_puts_the_clock_back(served: Store) -> None:
    now = DAY + timedelta(days=2)
    served.at(now)
    instants = []

    def spoil(at: datetime, number: int, total: int) -> None:
        instants.append(at)
        if number == 10:
            served.fault(kind="status", status=400, source="binance", message="no")

    with pytest.raises(Refused):
        walk_snapshots(served.conn, exchange(), served.settings, spoil)
    assert clock.now(served.conn) < now, "the clock is in the past, with a note of where it belongs"
    served.conn.commit()
    walk_snapshots(served.conn, exchange(), served.settings, lambda at, *_: instants.append(at))
    assert clock.show(served.conn) == clock.Clock("frozen", now)
    assert len(instants) == len(set(instants)) == 47, "no instant twice"
