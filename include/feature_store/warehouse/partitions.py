"""Partitions ahead of time, so that no writer has to make one."""

from datetime import timedelta

import psycopg

from feature_store import clock


def make_ahead(conn: psycopg.Connection, days: int) -> int:
    """Make the day partitions of the next `days` days and next year's; returns how many were missing."""
    now = clock.now(conn)
    row = conn.execute(
        "select features.ensure_partitions('intraday', %s, %s) + features.ensure_partitions('daily', %s, %s)",
        (now, now + timedelta(days=days), now, now + timedelta(days=366)),
    ).fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])
