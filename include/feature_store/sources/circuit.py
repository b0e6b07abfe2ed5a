"""Which hosts are left alone for a while: in the database, so that all processes obey. Real time, never virtual.

A circuit is open until an instant and closes by itself. The next request is the probe: a good answer forgets the
trouble, another failure opens the circuit again.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from time import sleep
from typing import Any

import psycopg
from psycopg.rows import dict_row

from feature_store.errors import CircuitOpen
from feature_store.sources.budget import pool

logger = logging.getLogger(__name__)

_OPEN = """
select reason, since, until, extract(epoch from until - clock_timestamp())::float8
from ops.circuits
where source = %s and host = %s and until > clock_timestamp()
"""
_COUNT = """
insert into ops.circuits as c (source, host, reason, failures, since, until)
values (%(source)s, %(host)s, %(reason)s, %(counts)s, clock_timestamp(), clock_timestamp())
on conflict (source, host) do update
set failures = greatest(
  excluded.failures, c.failures + case when c.until <= clock_timestamp() then excluded.failures else 0 end
)
returning failures
"""
_PROLONG = """
update ops.circuits as c
set until = greatest(c.until, new.until), reason = case when new.until >= c.until then %(reason)s else c.reason end
from (select clock_timestamp() + make_interval(secs => %(seconds)s) as until) as new
where c.source = %(source)s and c.host = %(host)s
returning extract(epoch from c.until - clock_timestamp())::float8
"""
_FORGET = "delete from ops.circuits where source = %s and host = %s and until <= clock_timestamp()"
_ALL = """
select host, source, case when until > clock_timestamp() then 'open' else 'closed' end as state,
       reason, failures, since, until
from ops.circuits order by host, source
"""


class Circuit:
    """The circuit of one host of a source. Every method raises WarehouseError when the database is away."""

    def __init__(self, dsn: str, source: str, host: str) -> None:
        self._pool = pool(dsn)
        self._key = (source, host)

    def wait(self, longest: float) -> bool:
        """Sleep until the circuit is closed; whether it was open. Raises CircuitOpen where that takes longer than
        `longest` seconds."""
        waited = False
        while True:
            with self._pool.connection() as conn:
                held = conn.execute(_OPEN, self._key).fetchone()
            if held is None:
                return waited
            seconds = float(held[3])
            if seconds > longest:
                raise self._error(*held)
            sleep(seconds)
            waited = True

    def succeeded(self) -> None:
        """The host gave a good answer: forget its failures. An open circuit stays: that answer was asked for before."""
        with self._pool.connection() as conn:
            conn.execute(_FORGET, self._key)

    def failed(self, reason: str, seconds: Callable[[int], float]) -> float:
        """The host failed: leave it alone for `seconds` of the number of failures in a row.

        Returns for how many seconds from now it is left alone, which is longer where it already was: 0 for not at all.
        """
        return self._open(reason, seconds, 1)

    def pause(self, reason: str, seconds: float) -> None:
        """Leave the host alone for a while although it did not fail."""
        self._open(reason, lambda _: seconds, 0)

    def _open(self, reason: str, seconds: Callable[[int], float], counts: int) -> float:
        source, host = self._key
        values: dict[str, Any] = {"source": source, "host": host, "reason": reason, "counts": counts}
        with self._pool.connection() as conn:
            counted = conn.execute(_COUNT, values).fetchone()
            assert counted is not None
            wanted = seconds(counted[0])
            prolonged = conn.execute(_PROLONG, {**values, "seconds": wanted}).fetchone()
        assert prolonged is not None
        if wanted > 0:
            logger.warning("%s (%s) is left alone for %.0f seconds: %s", host, source, wanted, reason)
        return max(0.0, float(prolonged[0]))

    def _error(self, reason: str, since: datetime, until: datetime, seconds: float) -> CircuitOpen:
        source, host = self._key
        return CircuitOpen(
            f"{host} ({source}) is not asked before {_utc(until)}: {reason} (trouble since {_utc(since)}). It is asked "
            "again by itself then; `feature-store status` lists such hosts under circuits.",
            until.astimezone(UTC),
            seconds,
        )


def circuits(conn: psycopg.Connection) -> list[dict[str, Any]]:
    """The hosts that gave trouble since their last good answer, with `state` open (left alone) or closed."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ALL).fetchall()


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
