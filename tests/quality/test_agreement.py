"""A second source that contradicts a point lowers the confidence in it, for as long as it does."""

from datetime import datetime, timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.sync import sync
from feature_store.quality.agreement import assess_agreement
from feature_store.quality.reconciliation import PAIRS
from tests.quality import NOW
from tests.warehouse.test_append_versions import START, Candidate, append

SPX, BTC = "macro/us/spx_index", "crypto/btc/price_usd"
DAY = timedelta(days=1)

Told = list[tuple[float, dict[str, float]]]


@pytest.fixture
def store(db: psycopg.Connection, catalog: Catalog) -> psycopg.Connection:
    """A store with two sessions of SPX and a minute of bitcoin, each with a confidence of 0.9."""
    clock.freeze(db, START + 3 * DAY)
    sync(db, catalog)
    append(db, [Candidate(SPX), Candidate(SPX, ts=1, available_at=2), Candidate(BTC)])
    return db


def told(conn: psycopg.Connection, pair: int, series: str, ts: datetime, *, agrees: bool) -> None:
    """What a reconciliation found of one time."""
    left, right = PAIRS[pair].left, PAIRS[pair].right
    conn.execute(
        """insert into quality.reconciliation (run_id, checked_at, quantity, ts, left_source, left_stream, left_series,
             left_value, right_source, right_stream, right_series, right_value, tolerance, agrees, reason)
           values ('run', %s, %s, %s, %s, %s, %s, 1, %s, %s, %s, 2, 0.001, %s, 'why')""",
        (NOW, PAIRS[pair].quantity, ts, left.slug, left.stream, left.series, right.slug, right.stream, series, agrees),
    )
    conn.commit()


def known(conn: psycopg.Connection) -> Told:
    return conn.execute("select confidence, reasons from quality.confidence order by assessed_at, ts").fetchall()


def test_a_contradicted_point_is_trusted_half_as_much(store: psycopg.Connection, catalog: Catalog) -> None:
    told(store, 0, "SP500", START, agrees=False)
    told(store, 0, "SP500", START + DAY, agrees=True)
    assert assess_agreement(store, catalog, "run") == 1
    assert known(store) == [(0.45, {"source": 0.9, "agreement": 0.5})]
    rows = store.execute(
        "select ts, confidence from features.as_of('infinity') where feature_id = %s order by ts", (SPX,)
    )
    assert rows.fetchall() == [(START, 0.45), (START + DAY, 0.9)]
    assert assess_agreement(store, catalog, "again") == 0


def test_it_is_trusted_again_once_they_agree(store: psycopg.Connection, catalog: Catalog) -> None:
    told(store, 0, "SP500", START, agrees=False)
    assess_agreement(store, catalog, "run")
    told(store, 0, "SP500", START, agrees=True)
    assert assess_agreement(store, catalog, "later") == 1
    assert known(store)[-1] == (0.9, {"source": 0.9})


def test_of_many_venues_most_have_to_contradict(store: psycopg.Connection, catalog: Catalog) -> None:
    for venue, agrees in (("okx", True), ("kraken", True), ("bybit", False)):
        told(store, 3, f"BTC/{venue}", START, agrees=agrees)
    assert assess_agreement(store, catalog, "run") == 0
    told(store, 3, "BTC/okx", START, agrees=False)
    assert assess_agreement(store, catalog, "run") == 1
    assert known(store) == [(0.45, {"source": 0.9, "agreement": 0.5})]
