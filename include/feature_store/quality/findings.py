"""Points that were found odd beside those before them, in `quality.findings`, each once."""

from collections.abc import Sequence

import psycopg

from feature_store.quality.project import BESIDE, Failing

_FOUND = """
create temp table found (
  feature_id text, version int, ts timestamptz, available_at timestamptz, rule text, severity text,
  value double precision, value_before double precision, low double precision, high double precision,
  score double precision, reason text
) on commit drop
"""
_APPEND = """
insert into quality.findings
  (run_id, found_at, feature_id, version, ts, available_at, rule, severity, value, value_before, low, high, score,
   reason)
select %s, ops.now(), found.* from found
on conflict do nothing
"""


def find(conn: psycopg.Connection, run_id: str, rows: Sequence[Failing]) -> int:
    """Add what was not found before, in the open transaction; returns how many."""
    if not rows:
        return 0
    conn.execute(_FOUND)
    with conn.cursor().copy("copy found from stdin") as copy:
        for row in rows:
            copy.write_row((
                row.feature_id, row.version, row.ts, row.available_at, row.rule, row.severity,
                *(row.beside[name] for name in BESIDE), row.reason,
            ))  # fmt: skip
    added = conn.execute(_APPEND, (run_id,)).rowcount
    conn.execute("drop table found")
    return added
