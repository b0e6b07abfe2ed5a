"""Long histories are appended slice by slice: few locks at a time, and nothing is lost between two of them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from feature_store.errors import WarehouseError
from feature_store.pipeline.models import run_dbt
from feature_store.settings import Settings
from feature_store.stack.ports import free_port
from feature_store.stack.postgres import SCRATCH_TUNING, Postgres
from feature_store.warehouse.migrate import migrate

from .conftest import NAME
from .store import Store

HOURLY = """
insert into features.candidates
  (feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, confidence, meta, evidence)
select 't/hourly', 1, 'intraday', ts, 1, ts + interval '1 hour', 'schedule', false, 0.9, '{}', '[]'
from generate_series(%s::timestamptz, %s::timestamptz - interval '1 hour', interval '1 hour') as ts
"""


def publish(settings: Settings) -> int:
    """Append the candidates; returns how many were new."""
    [result] = run_dbt(settings, "run", "--select", "features_versions")
    return int(result.adapter_response["rows_affected"])


def propose(store: Store, first: str, end: str) -> None:
    """Make an hourly history the candidates of the next run."""
    store.conn.execute("truncate features.candidates")
    store.conn.execute(HOURLY, (first, end))
    store.conn.commit()


def transactions(store: Store) -> list[tuple[str, str, int]]:
    """(first day, last day, rows) of each transaction that appended, in order."""
    rows = store.conn.execute(
        """select min(ts)::date::text, max(ts)::date::text, count(*) from features.features_versions
           group by xid order by xid"""
    ).fetchall()
    store.conn.commit()
    return rows


def test_a_usual_run_is_one_transaction(store: Store) -> None:
    propose(store, "2023-01-01", "2023-02-01")
    assert publish(store.settings) == 31 * 24
    assert transactions(store) == [("2023-01-01", "2023-01-31", 744)]


def test_a_long_history_is_appended_the_newest_month_first(store: Store) -> None:
    propose(store, "2023-01-01", "2023-03-07")
    assert publish(store.settings) == 65 * 24
    assert transactions(store) == [
        ("2023-02-04", "2023-03-06", 744),
        ("2023-01-04", "2023-02-03", 744),
        ("2023-01-01", "2023-01-03", 72),
    ]
    assert publish(store.settings) == 0


def test_what_a_run_that_died_between_slices_left_is_done_by_the_next(store: Store) -> None:
    propose(store, "2023-01-01", "2023-03-07")
    store.conn.execute("update features.candidates set available_at = 'infinity' where ts = '2023-01-20'")
    store.conn.commit()
    with pytest.raises(WarehouseError, match=r"t/hourly at 2023-01-20 .* available at infinity"):
        publish(store.settings)
    assert transactions(store) == [("2023-02-04", "2023-03-06", 744)], "the slice before it is kept"
    assert store.values("t/hourly").keys() >= {"2023-03-06"}

    propose(store, "2023-01-01", "2023-03-07")
    assert publish(store.settings) == 744 + 72
    assert store.count("features.features_values") == 65 * 24


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[str]:
    """A server of PostgreSQL's own settings, but with the least table of locks it takes: a sixth of its default."""
    tuning = {name: value for name, value in SCRATCH_TUNING.items() if name != "max_connections"}
    server = Postgres(tmp_path, free_port(), secrets.token_urlsafe(8), {**tuning, "max_locks_per_transaction": "10"})
    server.init()
    server.start()
    server.create_database(NAME)
    migrate(server.dsn(NAME))
    yield server.dsn(NAME)
    server.stop()


@pytest.mark.slow
def test_a_year_in_one_go_needs_a_fraction_of_a_servers_default_locks(small_server: str, tmp_path: Path) -> None:
    with psycopg.connect(small_server) as conn:
        conn.execute("create table features.candidates (like features.features_versions)")
        conn.execute("alter table features.candidates drop xid, drop ingested_at, drop correction")
        conn.execute(HOURLY, ("2023-01-01", "2024-01-01"))
    settings = Settings(FEATURE_STORE_POSTGRES_DSN=small_server, FEATURE_STORE_HOME=tmp_path)
    run_dbt(settings, "run", "--select", "stg_published__points")  # which the appended candidates are held against
    assert publish(settings) == 365 * 24
