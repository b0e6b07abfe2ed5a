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
