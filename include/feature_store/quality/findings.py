"""Points that were found odd beside those before them, in `quality.findings`, each once."""

from collections.abc import Sequence

import psycopg

from feature_store.quality.project import BESIDE, Failing

_APPEND = """
insert into quality.findings
  (run_id, found_at, feature_id, version, ts, available_at, rule, severity, value, value_before, low, high, score,
   reason)
values (%s, ops.now(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""


def find(conn: psycopg.Connection, run_id: str, rows: Sequence[Failing]) -> None:
    """Add what was not found before, in the open transaction."""
    told = [
        (
            run_id, row.feature_id, row.version, row.ts, row.available_at, row.rule, row.severity,
            *(row.beside[name] for name in BESIDE), row.reason,
        )
        for row in rows
    ]  # fmt: skip
    with conn.cursor() as cursor:
        cursor.executemany(_APPEND, told)
