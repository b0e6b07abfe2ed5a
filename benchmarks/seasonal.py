"""Seasonal adjustment on real histories: how long it takes, what is left of the season, and how far it is from STL.

STL (statsmodels, robust) runs concurrently: at each instant asked it sees what was there then, the value of that
instant included, and its effect is the last it gives. Effects are logarithms of factors.
"""

import csv
import gzip
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import psycopg
from statsmodels.tsa.seasonal import STL

from feature_store.catalog.load import load_catalog
from feature_store.catalog.sync import sync
from feature_store.pipeline.models import run_dbt
from feature_store.settings import ROOT, Settings
from feature_store.stack.postgres import scratch_postgres
from feature_store.warehouse.migrate import migrate

SERIES = ROOT.parent / "shared" / "real" / "series"
INSTANTS = 40
Points = Iterator[tuple[datetime, float, datetime]]
Effects = list[tuple[datetime, float, float]]


def hours() -> Points:
    """Quote volume of BTCUSDT perpetuals by the hour, from 2020 on: (ts, value, available_at)."""
    with gzip.open(SERIES / "btc_usd" / "BTCUSDT_perp_1h.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            ts = datetime.fromtimestamp(int(row["open_time_ms"]) / 1000, UTC)
            if ts.year >= 2020:
                yield ts, float(row["volume"]) * float(row["close"]), ts + timedelta(hours=1, seconds=2)


def weeks() -> Points:
    """The Treasury's account by the week: (ts, value, available_at)."""
    with (SERIES / "wtregen" / "WTREGEN_macro-observer.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            ts = datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC)
            yield ts, float(row["Value"]) * 1e6, ts + timedelta(days=1, hours=21)


def main() -> None:
    """Print a line for each history and for each figure."""
    if not SERIES.exists():
        sys.stdout.write(f"seasonal adjustment: skipped, no real histories in {SERIES}\n")
        return
    with tempfile.TemporaryDirectory() as folder, scratch_postgres(Path(folder, "postgres")) as dsn:
        migrate(dsn)
        with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
            sync(conn, load_catalog())
            conn.execute("select ops.open_window('derived')")
            conn.commit()
            settings = Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=Path(folder))
            run_dbt(settings, "run", "--select", "seasonal_factors")
            for title, season, points, period, window in (
                ("hourly BTC volume", "hour-of-week", list(hours()), 168, 11 * 168),
                ("Treasury account", "week-of-year", list(weeks()), 52, 8 * 52),
            ):
                report(title, build(conn, title, season, points), period, window)


def build(conn: psycopg.Connection, title: str, season: str, points: list[tuple[datetime, float, datetime]]) -> Effects:
    """Adjust a history from scratch, then one point more; returns (ts, logarithm of the value, effect)."""
    conn.execute(
        """insert into registry.feature_inputs
             (feature_id, version, model, grain, unit, label, is_session, calendar, season, position, input_id,
              input_version, input_grain, input_unit, input_label, input_is_session, input_calendar, is_current)
           values (%(id)s || '_sa', 1, 'seasonal_factors', 'daily', 'USD', 'instant', false, '24x7', %(season)s, 1,
                   %(id)s, 1, 'daily', 'USD', 'instant', false, '24x7', true)""",
        {"id": title, "season": season},
    )
    seconds = []
    for part in (points[:-1], points[-1:]):
        conn.execute(
            """create temp table batch on commit drop as
               select %s as feature_id, 1 as version, 'daily' as grain, ts, value, available_at,
                 'schedule' as available_basis, false as is_provisional, 1::float8 as confidence,
                 '{}'::jsonb as meta, '[]'::jsonb as evidence
               from unnest(%s::timestamptz[], %s::float8[], %s::timestamptz[]) as points (ts, value, available_at)""",
            (title, *(list(column) for column in zip(*part, strict=True))),
        )
        conn.execute("select features.append_versions('batch')")
        conn.execute("analyze features.features_versions, ops.changed_days")  # autovacuum would, within a minute
        conn.commit()
        conn.execute("select ops.open_window('derived')")
        started = perf_counter()
        conn.execute("create temp table adjusted on commit drop as select * from normalized.seasonal_factors")
        seconds.append(perf_counter() - started)
        conn.execute("select features.append_versions('adjusted')")
        conn.execute("select ops.close_window('derived')")
        conn.commit()
    sys.stdout.write(
        f"{title}: {len(points):,} points adjusted in {seconds[0]:.1f} s, one more in {seconds[1]:.2f} s\n"
    )
    return conn.execute(
        """select raw.ts, ln(raw.value), ln((adjusted.meta ->> 'factor')::float8)
           from features.features_values as raw
           inner join features.features_values as adjusted
             on adjusted.feature_id = raw.feature_id || '_sa' and adjusted.grain = raw.grain and adjusted.ts = raw.ts
           where raw.feature_id = %s and raw.value > 0 and adjusted.meta ->> 'method' = 'multiplicative'
           order by raw.ts""",
        (title,),
    ).fetchall()


def report(title: str, effects: Effects, period: int, window: int) -> None:
    """Variance before and after, and the distance to STL at instants spread over the history."""
    x, ours = np.array([row[1] for row in effects]), np.array([row[2] for row in effects])
    trend = np.convolve(x, np.ones(period + 1) / (period + 1), "same")
    inside = slice(window, len(x) - period)
    before, after = (x - trend)[inside], (x - ours - trend)[inside]
    sys.stdout.write(f"{title}: variance around the mean of a cycle {before.var():.3f}, adjusted {after.var():.3f}\n")
    asked = np.linspace(window, len(x) - period, INSTANTS).astype(int)
    stl = np.array([STL(x[i - window + 1 : i + 1], period=period, robust=True).fit().seasonal[-1] for i in asked])
    distance = np.sqrt(np.mean((ours[asked] - stl) ** 2))
    sys.stdout.write(
        f"{title}: effects of STL have size {stl.std():.3f}, ours {ours[asked].std():.3f}; "
        f"distance {distance:.3f}, correlation {np.corrcoef(ours[asked], stl)[0, 1]:.2f} ({INSTANTS} instants)\n"
    )
    around = (x - trend)[asked]
    sys.stdout.write(
        f"{title}: variance at these instants {around.var():.3f}; adjusted {np.var(around - ours[asked]):.3f}; "
        f"by STL of the cycle before {np.var(around - _a_cycle_before(x, asked, period, window)):.3f}\n"
    )


def _a_cycle_before(x: np.ndarray, asked: np.ndarray, period: int, window: int) -> np.ndarray:
    """What STL knew of each season before its value was there."""
    return np.array(
        [STL(x[i - window : i], period=period, robust=True).fit().seasonal[-period] for i in asked], dtype=float
    )


if __name__ == "__main__":
    main()
