"""Milliseconds of what analysts ask in SQL as of an instant: in 20 years of days and 90 days of minutes."""

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import psycopg

from benchmarks.database import database

# 8 features of one-minute data over 90 days and 10 daily ones with two versions a point: 1.2M versions.
CANDIDATES = """
create table batch as
select 'bench/minutes_' || f as feature_id, 1 as version, 'intraday'::text as grain, ts, random() as value,
       ts + interval '62 seconds' as available_at, 'schedule'::text as available_basis, false as is_provisional,
       0.99::double precision as confidence, '{}'::jsonb as meta, '[{"fetch": 1}]'::jsonb as evidence
from generate_series(1, 8) as f,
     generate_series('2024-01-01'::timestamptz, '2024-03-30 23:59', interval '1 minute') as ts
union all
select 'bench/daily_' || f, 1, 'daily', ts, random(), ts + late * interval '1 day', 'vintage', false, 0.99, '{}',
       '[{"fetch": 1}]'
from generate_series(1, 10) as f,
     generate_series('2004-04-01'::timestamptz, '2024-03-29', interval '1 day') as ts,
     generate_series(1, 2) as late
"""

CATALOG = """
insert into registry.features_catalog
  (id, version, content_sha256, entity, description, unit, frequency, grain, ttl_ms, tags, source_id, source_class,
   calendar, label, spec, is_current, synced_at)
select distinct feature_id, 1, repeat('0', 64), 'asset', '', 'USD', '1d', grain, 1, '{}'::text[], 's', 'cex', '24x7',
       'instant', '{}'::jsonb, true, ops.now()
from batch
"""

QUESTIONS = {
    "a daily feature's last 100 points, since a date": """
        select * from features.as_of('2024-03-01')
        where feature_id = 'bench/daily_3' and ts >= '2023-11-20' order by ts desc limit 100""",
    "a daily feature's last 100 points": """
        select * from features.as_of('2024-03-01')
        where feature_id = 'bench/daily_3' order by ts desc limit 100""",
    "the same as stored": """
        select * from features.as_stored('infinity')
        where feature_id = 'bench/daily_3' order by ts desc limit 100""",
    "20 years of a daily feature": """
        select ts, value from features.as_of('2024-03-01') where feature_id = 'bench/daily_3'""",
    "a day of minutes": """
        select * from features.as_of('2024-03-01')
        where feature_id = 'bench/minutes_3' and ts >= '2024-02-10' and ts < '2024-02-11'""",
    "90 days of minutes, aggregated": """
        select count(*), max(value) from features.as_of('2024-03-31', 'infinity')
        where feature_id = 'bench/minutes_3'""",
    "90 days of minutes": """
        select ts, value from features.as_of('2024-03-31') where feature_id = 'bench/minutes_3'""",
    "the newest point of every feature": "select * from features.latest_as_of('2024-03-01')",
    "the newest point of every feature, long ago": "select * from features.latest_as_of('2010-05-05')",
}


def main() -> None:
    """Print the median of each question."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as dsn:
        measure(dsn)


def measure(dsn: str) -> None:
    """Fill a store and ask each question nine times over one connection."""
    with psycopg.connect(dsn, options="-c timezone=UTC", autocommit=True, prepare_threshold=None) as conn:
        conn.execute(CANDIDATES)
        conn.execute("select features.append_versions('batch')")
        conn.execute(CATALOG)
        conn.execute("drop table batch")
        conn.execute("vacuum analyze")
        for title, query in QUESTIONS.items():
            times, rows = [], 0
            for _ in range(9):
                started = perf_counter()
                rows = len(conn.execute(query.encode()).fetchall())
                times.append(perf_counter() - started)
            sys.stdout.write(f"as of, {title}: {statistics.median(times) * 1000:,.1f} ms ({rows:,} rows)\n")


if __name__ == "__main__":
    main()
