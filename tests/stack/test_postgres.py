import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from feature_store.stack import postgres
from feature_store.stack.ports import free_port
from feature_store.stack.postgres import SCRATCH_TUNING, Postgres, scratch_postgres
from feature_store.stack.processes import listening_sockets


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def dsn(home: Path) -> Iterator[str]:
    with scratch_postgres(home) as dsn:
        yield dsn


def test_no_way_in_goes_without_a_password(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        rules = connection.execute("select type, address, auth_method from pg_hba_file_rules").fetchall()
    assert rules == [("host", "127.0.0.1", "scram-sha-256")]


def test_a_wrong_password_is_refused(dsn: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(psycopg.conninfo.make_conninfo(dsn, password="guess"))


def test_it_listens_on_loopback_only(dsn: str, home: Path) -> None:
    sockets = listening_sockets(home)
    assert [socket.host for socket in sockets] == ["127.0.0.1"]
    with psycopg.connect(dsn) as connection:
        assert connection.execute("show unix_socket_directories").fetchone() == ("",)


def test_it_keeps_time_in_utc_and_checks_its_pages(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)
        assert connection.execute("show data_checksums").fetchone() == ("on",)


def test_data_survives_a_restart_on_another_port(tmp_path: Path) -> None:
    first = Postgres(tmp_path, free_port(), "a-password", SCRATCH_TUNING)
    first.init()
    first.start()
    first.create_database()
    first.create_role("airflow", "other")
    first.create_database("airflow", owner="airflow")
    first.create_database("airflow", owner="airflow")
    first.stop()
    second = Postgres(tmp_path, free_port(), "a-password", SCRATCH_TUNING)
    second.init()
    second.start()
    try:
        mine = f"postgresql://airflow:other@127.0.0.1:{second.port}/airflow"
        with psycopg.connect(mine) as connection:
            assert connection.execute("select current_user, rolsuper from pg_roles where rolname = current_user")
        assert not first.is_ready()
        assert second.is_ready()
    finally:
        second.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_user_namespaces_root_runs_it_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_namespace_works", lambda: False)
    command = postgres.unprivileged()
    assert str(postgres.NOBODY) in " ".join(command)


def test_an_ordinary_user_runs_it_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.unprivileged() == []
