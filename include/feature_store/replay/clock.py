"""The server's now: the store's clock, read from the database."""

import threading
from datetime import datetime

import psycopg

from feature_store import clock


class DatabaseClock:
    """A callable that asks the database, on one connection that is opened again when it was lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._conn: psycopg.Connection | None = None
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """The store's now; psycopg.Error when the database cannot be reached."""
        with self._lock:
            if self._conn is not None and not self._conn.closed:
                try:
                    return clock.now(self._conn)
                except psycopg.OperationalError:  # the database was restarted since
                    self._conn.close()
            self._conn = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
            return clock.now(self._conn)

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._conn is not None:
                self._conn.close()
