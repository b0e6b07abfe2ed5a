"""The store's clock: real, offset or frozen, kept in the database. Python takes now from here, SQL from ops.now().

Virtual time governs fetched_at, ingested_at, release rules, staleness, partitions and the replay server. Rate limits,
time-outs and Airflow's own scheduling run on real time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from feature_store.errors import ReplayError


@dataclass(frozen=True)
class Clock:
    """How the clock runs: `mode` is real, offset or frozen; `now` is its instant, UTC."""

    mode: str
    now: datetime


def now(conn: psycopg.Connection) -> datetime:
    """The store's now, UTC."""
    return show(conn).now


def show(conn: psycopg.Connection) -> Clock:
    """Mode and instant of the clock."""
    row = conn.execute("select mode, ops.now() from ops.clock").fetchone()
    assert row is not None
    return Clock(mode=row[0], now=row[1].astimezone(UTC))


def freeze(conn: psycopg.Connection, instant: datetime) -> None:
    """Stand still at `instant` (UTC-aware); raises ReplayError when that lies behind the newest ingested_at."""
    _refuse_to_go_back(conn, instant)
    conn.execute("update ops.clock set mode = 'frozen', frozen_at = %s, shift = '0'", (instant,))
    conn.commit()


def set_running(conn: psycopg.Connection, instant: datetime) -> None:
    """Run on from `instant` (UTC-aware); raises ReplayError when that lies behind the newest ingested_at."""
    _refuse_to_go_back(conn, instant)
    conn.execute("update ops.clock set mode = 'offset', frozen_at = null, shift = %s - clock_timestamp()", (instant,))
    conn.commit()


def advance(conn: psycopg.Connection, step: timedelta) -> None:
    """Move forward by `step`, staying frozen when it is frozen; raises ReplayError when `step` is negative."""
    if step < timedelta(0):
        raise ReplayError(f"the clock only moves forward, and {step} is negative")
    conn.execute(
        """update ops.clock set
             mode = case mode when 'frozen' then 'frozen' else 'offset' end,
             shift = case mode when 'frozen' then shift else shift + %(step)s end,
             frozen_at = frozen_at + %(step)s""",
        {"step": step},
    )
    conn.commit()


def release(conn: psycopg.Connection) -> None:
    """Return to real time; raises ReplayError when the store already holds points ingested later than that."""
    row = conn.execute("select clock_timestamp()").fetchone()
    assert row is not None
    _refuse_to_go_back(conn, row[0])
    conn.execute("update ops.clock set mode = 'real', frozen_at = null, shift = '0'")
    conn.commit()


def _refuse_to_go_back(conn: psycopg.Connection, instant: datetime) -> None:
    row = conn.execute("select max(last_ingested_at) from ops.feature_writes").fetchone()
    newest = row[0] if row else None
    if newest is not None and newest > instant:
        conn.rollback()
        raise ReplayError(
            f"the clock cannot go to {instant.isoformat()}: points were ingested at {newest.isoformat()}. "
            "Choose a later instant, or start afresh with `make clean`."
        )
