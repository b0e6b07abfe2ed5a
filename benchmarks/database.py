"""The store's own PostgreSQL, with the settings of a running stack, for as long as a benchmark lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feature_store.stack.ports import free_port
from feature_store.stack.postgres import Postgres
from feature_store.warehouse.migrate import migrate


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """A migrated, empty database on a server of its own in `folder`; its DSN."""
    server = Postgres(folder, free_port(), "benchmark")
    server.init()
    server.start()
    try:
        server.create_database()
        migrate(server.dsn())
        yield server.dsn()
    finally:
        server.stop()
