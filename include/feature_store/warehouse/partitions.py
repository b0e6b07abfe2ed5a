"""Partitions ahead of time, so that no writer has to make one."""

from datetime import datetime, timedelta

import psycopg

from feature_store import clock

_AT_ONCE = 31
"""Days whose partitions one transaction makes: locks are held until it ends."""


def make_ahead(conn: psycopg.Connection, days: int) -> int:
    """Make the day partitions of the next `days` days and next year's; returns how many were missing.

    Commits. Raises psycopg's LockNotAvailable, naming the session, when somebody keeps a table locked: what was
    made stays, and the next try does the rest.
    """
    now = clock.now(conn)
    made = _make(conn, "daily", now, now + timedelta(days=366))
    for first in range(0, days + 1, _AT_ONCE):
        last = min(first + _AT_ONCE - 1, days)
        made += _make(conn, "intraday", now + timedelta(days=first), now + timedelta(days=last))
    return made


def _make(conn: psycopg.Connection, grain: str, first: datetime, last: datetime) -> int:
    row = conn.execute("select features.ensure_partitions(%s, %s, %s)", (grain, first, last)).fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])
