"""Is there anything the transform has not read yet? The database knows; events may be lost or come twice."""

import psycopg
from psycopg import sql

from feature_store.catalog import Source


def has_news(conn: psycopg.Connection, source: Source) -> bool:
    """Whether a raw table of the source, or the catalog's mapping, holds rows the transform has not read."""
    tables = [("registry", "feature_series"), *(("raw", f"{source.slug}_{stream}") for stream in source.streams)]
    return any(_has_unread_rows(conn, sql.Identifier(*table)) for table in tables if _exists(conn, *table))


def _exists(conn: psycopg.Connection, schema: str, table: str) -> bool:
    return conn.execute("select to_regclass(%s)", (f"{schema}.{table}",)).fetchone() != (None,)


def _has_unread_rows(conn: psycopg.Connection, table: sql.Identifier) -> bool:
    query = sql.SQL(
        """select exists (select from {} where xid >= coalesce(
             (select done_xid from ops.watermarks where consumer = 'transform'), '0'))"""
    ).format(table)
    return conn.execute(query).fetchone() == (True,)


def inputs_have_news(conn: psycopg.Connection) -> bool:
    """Whether an input of a derived feature has versions, or a feature is new, that no derived round has read yet.

    Without any, what was looked at counts as read. Commits.
    """
    conn.execute("select ops.open_window('derived')")
    found = conn.execute(
        """select exists (
             select from ops.changed_days as changed
             join registry.feature_inputs as wiring
               on wiring.input_id = changed.feature_id and wiring.input_version = changed.version and wiring.is_current
             where changed.xid >= read.done_xid and changed.xid < read.open_xid
           ) or exists (
             select from registry.feature_inputs where is_current and xid >= read.done_xid and xid < read.open_xid
           )
           from ops.watermarks as read where consumer = 'derived'"""
    ).fetchone()
    if found == (False,):
        conn.execute("select ops.close_window('derived')")
    conn.commit()
    return found == (True,)


def panel_has_news(conn: psycopg.Connection) -> bool:
    """Whether a day is over that the daily panel does not show yet, or a day that it shows may have changed.

    Without either, what was looked at counts as read. Commits.
    """
    conn.execute("select ops.open_window('panel')")
    found = conn.execute(
        """with finished as (select (ops.now() - interval '1 minute')::date - 1 as last_day)
           select coalesce((select max(day) from features.daily_cells) < finished.last_day, true) or exists (
             select from ops.changed_days as changed, ops.watermarks as read
             where read.consumer = 'panel' and changed.xid >= read.done_xid and changed.xid < read.open_xid
               and changed.day <= finished.last_day
           )
           from finished"""
    ).fetchone()
    if found == (False,):
        conn.execute("select ops.close_window('panel')")
    conn.commit()
    return found == (True,)


def panel_is_empty(conn: psycopg.Connection) -> bool:
    """Whether the daily panel has no cell yet; commits."""
    found = conn.execute("select not exists (select from features.daily_cells)").fetchone()
    conn.commit()
    return found == (True,)


def sweep_changed_days(conn: psycopg.Connection) -> None:
    """Forget the changed days that every consumer is done with."""
    conn.execute(
        """delete from ops.changed_days
           where xid < (select min(done_xid) from ops.watermarks where consumer in ('derived', 'history', 'panel'))
             and (select count(*) from ops.watermarks where consumer in ('derived', 'history', 'panel')) = 3"""
    )
    conn.commit()
