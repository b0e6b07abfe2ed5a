"""Two sources of one quantity: what both have is compared once, and again when either says something else."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.quality.reconciliation import PAIRS, Reconciled, reconcile
from feature_store.settings import load_settings
from feature_store.warehouse.status import read_status

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
DAY = datetime(2026, 11, 20, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


@pytest.fixture
def conn(db: psycopg.Connection) -> psycopg.Connection:
    """A store at two in the morning of 21 November."""
    clock.freeze(db, NOW)
    db.commit()
    return db


def bar(
    conn: psycopg.Connection, close: float | None, symbol: str = "SP:SPX", fetch: int = 1, *, is_open: bool = False
) -> None:
    conn.execute(
        """insert into raw.tradingview_history (series, ts, close, fetch_id, fetched_at, available_at,
             available_basis, is_provisional)
           values (%s, %s, %s, %s, %s, %s, 'ingested', %s)""",
        (symbol, DAY, close, fetch, NOW, NOON + timedelta(hours=fetch), is_open),
    )


def observation(conn: psycopg.Connection, value: float, series: str = "SP500", fetch: int = 1) -> None:
    conn.execute(
        """insert into raw.fetches (source, stream, endpoint, url, fetched_at)
           values ('fred', 'observations', '', '', ops.now())"""
    )
    conn.execute(
        """insert into raw.fred_observations (series, ts, vintage_date, value, unit, fetch_id, fetched_at,
             available_at, available_basis)
           values (%s, %s, %s, %s, 'Index', %s, %s, %s, 'vintage')""",
        (series, DAY, DAY + timedelta(days=fetch), value, fetch, NOW, NOON + timedelta(hours=fetch)),
    )


def minutes(conn: psycopg.Connection, count: int, close: str, first: datetime = DAY) -> None:
    """Minute candles from `first` on; `close` is SQL over their number, `n`."""
    conn.execute(
        f"""insert into raw.binance_klines_1m (series, ts, close, fetch_id, fetched_at, available_at, available_basis)
            select 'BTCUSDT', %s + n * interval '1 minute', {close}, 1, %s, %s, 'schedule'
            from generate_series(0, %s) as n""".encode(),
        (first, NOW, NOW, count - 1),
    )


def average(conn: psycopg.Connection, value: float) -> None:
    conn.execute(
        """insert into raw.blockchain_market_price (series, ts, value, fetch_id, fetched_at, available_at,
             available_basis)
           values ('market-price', %s, %s, 1, %s, %s, 'schedule')""",
        (DAY, value, NOW, NOW),
    )


def books(conn: psycopg.Connection, at: datetime, venues: str, fetch: int = 1) -> None:
    conn.execute(
        """insert into raw.cex_books (series, ts, venues, fetch_id, fetched_at, available_at, available_basis)
           values ('BTC', %s, %s, %s, %s, %s, 'schedule')""",
        (at, venues, fetch, NOW, NOW),
    )


def compared(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    """Right series, ts, both numbers, difference and whether they agree, in the order of the comparisons."""
    return conn.execute(
        """select right_series, ts, left_value::float, right_value::float, difference::float, agrees
           from quality.reconciliation order by reconciliation_id"""
    ).fetchall()


def test_two_closes_of_one_session_agree(conn: psycopg.Connection) -> None:
    bar(conn, 6655.25)
    observation(conn, 6655.25)
    assert reconcile(conn, "run") == Reconciled(compared=1)
    assert compared(conn) == [("SP500", DAY, 6655.25, 6655.25, 0, True)]
    row = conn.execute(
        "select run_id, checked_at, left_source, left_stream, left_series, tolerance from quality.reconciliation"
    ).fetchone()
    assert row is not None
    assert row[:-1] == ("run", NOW, "tradingview", "history", "SP:SPX")
    assert float(row[-1]) == 0.001


@pytest.mark.parametrize(("value", "agrees"), [(16.01, True), (15.984, True), (16.017, False), (15.98, False)])
def test_a_tenth_of_a_per_cent_is_allowed_either_way(conn: psycopg.Connection, value: float, agrees: bool) -> None:
    bar(conn, 16, "CBOE:VIX")
    observation(conn, value, "VIXCLS")
    assert reconcile(conn).disagreeing == (0 if agrees else 1)
    assert [row[-1] for row in compared(conn)] == [agrees]


def test_what_was_compared_is_not_compared_again(conn: psycopg.Connection) -> None:
    bar(conn, 6655.25)
    observation(conn, 6655.25)
    reconcile(conn)
    clock.advance(conn, timedelta(hours=1))
    assert reconcile(conn) == Reconciled()
    assert len(compared(conn)) == 1


def test_a_correction_is_compared_anew_and_both_comparisons_stay(conn: psycopg.Connection) -> None:
    bar(conn, 6655.25)
    observation(conn, 6600)
    assert reconcile(conn) == Reconciled(compared=1, disagreeing=1)
    observation(conn, 6655.25, fetch=2)
    assert reconcile(conn) == Reconciled(compared=1)
    assert [row[-1] for row in compared(conn)] == [False, True]


def test_a_correction_that_reverts_is_a_third_comparison(conn: psycopg.Connection) -> None:
    observation(conn, 6655.25)
    for fetch, close in enumerate((6655.25, 6700, 6655.25), start=1):
        bar(conn, close, fetch=fetch)
        reconcile(conn)
    assert [row[-1] for row in compared(conn)] == [True, False, True]


def test_an_open_bar_and_a_withdrawn_one_are_not_compared(conn: psycopg.Connection) -> None:
    observation(conn, 6655.25)
    bar(conn, 6640.5, is_open=True)
    assert reconcile(conn) == Reconciled()
    bar(conn, 6655.25, fetch=2)
    bar(conn, None, fetch=3)
    assert reconcile(conn) == Reconciled()


def test_what_one_source_alone_has_is_not_compared(conn: psycopg.Connection) -> None:
    bar(conn, 6655.25)
    observation(conn, 16, "VIXCLS")
    assert reconcile(conn) == Reconciled()


def test_the_average_of_a_day_is_held_against_the_mean_of_its_minutes(conn: psycopg.Connection) -> None:
    # 0, 1, … 1439 above 90,000: 90,719.5 on average.
    minutes(conn, 1440, "90000 + n")
    average(conn, 92600)
    assert reconcile(conn) == Reconciled(compared=1, disagreeing=1)
    assert compared(conn) == [("market-price", DAY, 90719.5, 92600, pytest.approx(0.020728729), False)]


def test_a_day_of_which_minutes_lack_has_no_mean(conn: psycopg.Connection) -> None:
    minutes(conn, 1367, "90000")
    average(conn, 90000)
    assert reconcile(conn) == Reconciled()
    minutes(conn, 1, "90000", DAY + timedelta(minutes=1367))
    assert reconcile(conn) == Reconciled(compared=1)


def test_a_day_that_is_not_over_has_no_mean(db: psycopg.Connection) -> None:
    clock.freeze(db, DAY + timedelta(hours=23, minutes=30))
    minutes(db, 1400, "90000")
    average(db, 90000)
    assert reconcile(db) == Reconciled()
    clock.freeze(db, DAY + timedelta(days=1))
    assert reconcile(db) == Reconciled(compared=1)


def test_each_venue_is_held_against_the_minute(conn: psycopg.Connection) -> None:
    minutes(conn, 2, "91000", NOON)
    books(conn, NOON + timedelta(seconds=3), '{"okx": {"mid": 91100}, "kraken": {"missing": "timed out"}}')
    books(conn, NOON + timedelta(seconds=63), '{"okx": {"mid": 92000}, "kraken": {"mid": 91010.5}}', fetch=2)
    assert reconcile(conn) == Reconciled(compared=3, disagreeing=1)
    found = {(series, ts): agrees for series, ts, *_, agrees in compared(conn)}
    assert found == {
        ("BTC/okx", NOON): True,
        ("BTC/okx", NOON + timedelta(minutes=1)): False,
        ("BTC/kraken", NOON + timedelta(minutes=1)): True,
    }


def test_of_two_rounds_in_a_minute_the_later_counts(conn: psycopg.Connection) -> None:
    minutes(conn, 1, "91000", NOON)
    books(conn, NOON + timedelta(seconds=3), '{"okx": {"mid": 91100}}')
    books(conn, NOON + timedelta(seconds=43), '{"okx": {"mid": 91050}}', fetch=2)
    reconcile(conn)
    assert [row[3] for row in compared(conn)] == [91050]


def test_older_days_are_left_alone(conn: psycopg.Connection) -> None:
    bar(conn, 6655.25)
    observation(conn, 6655.25)
    clock.advance(conn, timedelta(days=10))
    assert reconcile(conn) == Reconciled()


def test_status_shows_who_disagrees(conn: psycopg.Connection, catalog: Catalog) -> None:
    bar(conn, 6655.25)
    observation(conn, 6600)
    reconcile(conn)
    [shown] = read_status(conn, catalog, load_settings())["reconciliation"]
    assert (shown["quantity"], shown["compared"], shown["disagreeing"]) == ("S&P 500, close of the session", 1, 1)
    assert float(shown["widest"]) == pytest.approx(55.25 / 6655.25)
    observation(conn, 6655.25, fetch=2)
    reconcile(conn)
    [shown] = read_status(conn, catalog, load_settings())["reconciliation"]
    assert (shown["compared"], shown["disagreeing"]) == (1, 0)


def test_every_pair_has_its_reason_and_names_series_of_the_catalog(catalog: Catalog) -> None:
    assert all(pair.reason for pair in PAIRS)
    for side in (side for pair in PAIRS for side in (pair.left, pair.right)):
        known = {series.name for series in catalog.series(side.slug, side.stream)}
        assert side.series in known, f"{side.slug}/{side.stream}/{side.series} is not in the catalog"
