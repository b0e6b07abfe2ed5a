"""Connections to the `feature_store` database."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from feature_store.errors import WarehouseError
from feature_store.settings import load_settings


def connect(dsn: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection in UTC; raises WarehouseError, without the password, when the database cannot be reached."""
    try:
        return psycopg.connect(dsn or load_settings().postgres_dsn, autocommit=autocommit, options="-c timezone=UTC")
    except psycopg.OperationalError as error:
        raise unreachable(dsn or load_settings().postgres_dsn, error) from None


def unreachable(dsn: str, error: Exception) -> WarehouseError:
    """What to raise when no connection came about: where it was tried, without the password."""
    info = psycopg.conninfo.conninfo_to_dict(dsn)
    return WarehouseError(
        f"the database at {info.get('host')}:{info.get('port')}/{info.get('dbname')} cannot be reached: "
        f"{str(error).splitlines()[0]}. Is the stack up? `make up` starts it."
    )


@contextmanager
def explained(conn: psycopg.Connection) -> Iterator[None]:
    """Raise WarehouseError where the database runs out of room, or goes away, in the middle of the block."""
    place = f"{conn.info.host}:{conn.info.port}/{conn.info.dbname}"  # a lost connection does not tell any more
    try:
        yield
    except psycopg.OperationalError as error:
        what, advice = "failed in mid-work", "Its log says why, and `make up` starts it when it is down"
        if isinstance(error, psycopg.errors.DiskFull):
            what, advice = "has no room left on its disk", "Make room there"
        raise WarehouseError(
            f"the database at {place} {what}: {str(error).partition(chr(10))[0]}. {advice}. "
            "What was committed stays, and the next run does the rest."
        ) from error


@contextmanager
def alone(conn: psycopg.Connection, work: str) -> Iterator[None]:
    """Wait until no other session does that work; commits the open transaction first, and rolls back what is left open.

    The lock is the session's: it outlives the commits of the block, keeps no reader waiting, and falls with the
    connection when the process is killed. It may be taken again inside the block.
    """
    conn.execute("select pg_advisory_lock(hashtext(%s))", (work,))
    conn.commit()
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext(%s))", (work,))
            conn.commit()
