"""Fixtures: a real PostgreSQL server for the session, a migrated database of its own for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from feature_store.stack.ports import free_port
from feature_store.stack.postgres import scratch_postgres
from feature_store.stack.s3 import S3
from feature_store.stack.secrets import ensure_secrets
from feature_store.stack.supervision import Program, Supervisor, run_folder
from feature_store.warehouse.migrate import migrate

from .archive.store import Server
from .recordings import HISTORIES

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class _ByFile(LoadScopeScheduling):
    """A file with its fixtures is for one process, and so are all files about the running stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "stack" if file.startswith("tests/stack/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The running stack takes longest, and so comes first."""
    items.sort(key=lambda item: item.path.parent.name != "stack")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of the server's maintenance database."""
    with scratch_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """A migrated database that each test's own is copied from."""
    _admin(server, "create database migrated")
    migrate(_named(server, "migrated"))
    return "migrated"


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """A migrated, empty database."""
    with database(server, f"test_{uuid4().hex[:12]}", template) as dsn:
        yield dsn


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to a migrated, empty database."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture(scope="session")
def real_series() -> Path:
    """The folder of real histories; tests that need it are skipped where it is absent."""
    if not HISTORIES.is_dir():
        pytest.skip(f"real histories are not part of this repository and not at {HISTORIES}")
    return HISTORIES


@pytest.fixture(scope="session")
def s3_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SeaweedFS under a supervisor."""
    home = tmp_path_factory.mktemp("s3")
    held = ensure_secrets(home)
    names = ("s3_access_key", "s3_secret_key", "s3_sse_key", "s3_internal_key")
    server = S3(home, free_port(), *(held[name] for name in names))
    supervisor = Supervisor(home)
    supervisor.ensure([Program("s3", server.command(run_folder(home)), home, server.environment())])
    yield Server(server, supervisor)
    supervisor.shutdown()


@pytest.fixture
def s3(s3_of_session: Server) -> Server:
    """The server, running, whatever the test before did to it."""
    s3_of_session.start()
    return s3_of_session


@contextmanager
def database(server: str, name: str, template: str) -> Iterator[str]:
    """A database of its own, a copy of the template, for as long as the block lasts."""
    _admin(server, f"create database {name} template {template} strategy file_copy")
    try:
        yield _named(server, name)
    finally:
        _admin(server, f"drop database {name} with (force)")


def _admin(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(statement.encode())


def _named(dsn: str, database: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, dbname=database)
