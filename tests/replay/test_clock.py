from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.replay.clock import DatabaseClock

INSTANT = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_the_servers_now_is_the_databases(dsn: str) -> None:
    now = DatabaseClock(dsn)
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)
    with psycopg.connect(dsn) as conn:
        clock.freeze(conn, INSTANT)
        assert now() == INSTANT
        clock.advance(conn, timedelta(hours=1))
        assert now() == INSTANT + timedelta(hours=1)
    now.close()


def test_a_lost_connection_is_opened_again(dsn: str) -> None:
    now = DatabaseClock(dsn)
    now()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)
    now.close()


def test_an_unreachable_database_is_an_error_without_the_password() -> None:
    with pytest.raises(psycopg.OperationalError) as error:
        DatabaseClock("postgresql://feature_store:s3cret@127.0.0.1:1/feature_store")()
    assert "s3cret" not in str(error.value)
