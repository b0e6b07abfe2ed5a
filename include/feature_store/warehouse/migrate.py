"""Plain SQL migrations, applied in the order of their names, each in a transaction of its own."""

import logging
from hashlib import sha256
from pathlib import Path

import psycopg

from feature_store.errors import WarehouseError
from feature_store.warehouse.connection import connect

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"

TO_PEOPLE = "FS001"
"""The code of notices of migrations that somebody should read: `raise notice ... using errcode = 'FS001'`."""

_BOOKKEEPING = """
create schema if not exists ops;
create table if not exists ops.migrations (
  name text primary key, sha256 text not null, applied_at timestamptz not null default clock_timestamp()
);
comment on table ops.migrations is 'SQL migrations that were applied, with their content''s hash.';
comment on column ops.migrations.name is 'File name.';
comment on column ops.migrations.sha256 is 'Hash of the file as it was applied: an applied file never changes.';
comment on column ops.migrations.applied_at is 'When it was applied (real time).';
"""


def migrate(dsn: str | None = None, folder: Path = MIGRATIONS) -> list[str]:
    """Apply the migrations that the database has not seen and return their names.

    Safe to run again and at once from several processes. Raises WarehouseError when a file that was already
    applied has changed since, or when one fails: then that file has left no trace.
    """
    with connect(dsn, autocommit=True) as conn:
        conn.add_notice_handler(_tell)
        conn.execute("select pg_advisory_lock(hashtext('ops.migrations'))")
        conn.execute(_BOOKKEEPING)
        applied: dict[str, str] = dict(conn.execute("select name, sha256 from ops.migrations").fetchall())
        return [path.name for path in sorted(folder.glob("*.sql")) if _apply(conn, path, applied.get(path.name))]


def _tell(notice: psycopg.errors.Diagnostic) -> None:
    """What a migration has to say to people; that something exists already is no news."""
    if notice.sqlstate == TO_PEOPLE:
        log.warning("%s", notice.message_primary)


def _apply(conn: psycopg.Connection, path: Path, known: str | None) -> bool:
    script = path.read_bytes()
    digest = sha256(script).hexdigest()
    if known == digest:
        return False
    if known is not None:
        raise WarehouseError(f"{path.name} was applied and has changed since: write a new migration instead")
    try:
        with conn.transaction():
            conn.execute("set local lock_timeout = '30s'")
            conn.execute(script)
            conn.execute("insert into ops.migrations (name, sha256) values (%s, %s)", (path.name, digest))
    except psycopg.Error as error:
        raise WarehouseError(f"migration {path.name} failed and was rolled back: {error}") from error
    return True
