"""Rows per second of the one writer: a first load, and a replay that changes nothing."""

import sys
import tempfile
from pathlib import Path
from time import perf_counter

import psycopg

from benchmarks.database import database

# 20 features of one-minute data over 35 days: 1,008,000 points in 35 day partitions.
CANDIDATES = """
create table batch as
select 'bench/f' || f as feature_id, 1 as version, 'intraday'::text as grain, ts, random() as value,
       ts + interval '62 seconds' as available_at, 'schedule'::text as available_basis, false as is_provisional,
       0.99::double precision as confidence, '{}'::jsonb as meta, '[{"fetch": 1}]'::jsonb as evidence
from generate_series(1, 20) as f,
     generate_series('2024-01-01'::timestamptz, '2024-02-04 23:59', interval '1 minute') as ts
"""


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as dsn:
        measure(dsn)


def measure(dsn: str) -> None:
    """Append a million candidates twice."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        conn.execute(CANDIDATES)
        conn.commit()
        for title in ("append, first load", "append, a replay that changes nothing"):
            started = perf_counter()
            row = conn.execute("select inserted, duplicate from features.append_versions('batch')").fetchone()
            conn.commit()
            assert row is not None
            seconds, rows = perf_counter() - started, sum(row)
            sys.stdout.write(
                f"{title}: {rows / seconds:,.0f} rows/s ({rows:,} rows, {row[0]:,} written, {seconds:.1f} s)\n"
            )


if __name__ == "__main__":
    main()
