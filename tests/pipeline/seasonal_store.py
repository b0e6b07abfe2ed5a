"""A database in which series are adjusted for season without connectors: versions go in through the one writer."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from feature_store import clock
from feature_store.pipeline.models import run_dbt
from feature_store.settings import Settings

from .seasonal_reference import Version


class Twin(NamedTuple):
    """What the store holds of a version of a twin, as last corrected."""

    value: float | None
    meta: dict[str, Any]
    available_basis: str
    evidence: list[dict[str, Any]]


class SeasonalStore:
    """Features and their twins, which are called like them with `_sa`; the clock stands still."""

    def __init__(self, dsn: str, home: Path) -> None:
        self.settings = Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=home)
        self.conn = psycopg.connect(dsn, options="-c timezone=UTC")

    def add(self, feature: str, season: str, grain: str = "daily") -> None:
        """Make a feature seasonal. The grain only says how its tables are cut: few partitions are quickly made."""
        self.conn.execute(
            """insert into registry.feature_inputs
                 (feature_id, version, model, grain, unit, label, is_session, calendar, season, position, input_id,
                  input_version, input_grain, input_unit, input_label, input_is_session, input_calendar, is_current)
               values (%(id)s || '_sa', 1, 'seasonal_factors', %(grain)s, 'USD', 'instant', false, '24x7', %(season)s,
                       1, %(id)s, 1, %(grain)s, 'USD', 'instant', false, '24x7', true)""",
            {"id": feature, "season": season, "grain": grain},
        )
        self.conn.commit()

    def append(self, feature: str, versions: Iterable[Version], grain: str = "daily") -> None:
        """Append versions of a feature, at the instant that they name as stored."""
        by_instant: dict[datetime, list[Version]] = {}
        for version in versions:
            by_instant.setdefault(version.stored, []).append(version)
        for stored, group in sorted(by_instant.items()):
            clock.freeze(self.conn, stored)
            self.conn.execute(
                """create temp table batch on commit drop as
                   select ''::text as feature_id, 1 as version, ''::text as grain, null::timestamptz as ts,
                     null::float8 as value, null::timestamptz as available_at, 'schedule' as available_basis,
                     false as is_provisional, 0.75::float8 as confidence, '{}'::jsonb as meta, '[]'::jsonb as evidence
                   where false"""
            )
            with self.conn.cursor().copy(
                "copy batch (feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, "
                "confidence, meta, evidence) from stdin"
            ) as copy:
                for v in group:
                    row = (feature, 1, grain, v.ts, v.value, v.available_at, "schedule", v.is_provisional, 0.75)
                    copy.write_row((*row, "{}", "[]"))
            self.conn.execute("select features.append_versions('batch')")
            self.conn.commit()
        # Autovacuum would, within a minute.
        self.conn.execute("analyze features.features_versions, ops.changed_days")
        self.conn.commit()

    def build(self) -> int:
        """Adjust what is new and append it; returns how many versions were appended."""
        self.conn.execute("select ops.open_window('derived')")
        self.conn.execute("create temp table adjusted on commit drop as select * from normalized.seasonal_factors")
        [(appended,)] = self.conn.execute("select inserted from features.append_versions('adjusted')").fetchall()
        self.conn.execute("select ops.close_window('derived')")
        self.conn.commit()
        return int(appended)

    def refresh(self) -> int:
        """Adjust everything again, from nothing; returns how many versions that appended."""
        run_dbt(self.settings, "run", "--select", "seasonal_factors", "--full-refresh")
        appended = self.build()
        run_dbt(self.settings, "run", "--select", "seasonal_factors")
        return appended

    def twins(self, feature: str) -> dict[tuple[datetime, datetime], Twin]:
        """The versions of a feature's twin, as last corrected, by (ts, available_at)."""
        rows = self.conn.execute(
            """select distinct on (ts, available_at) ts, available_at, value, meta, available_basis, evidence
               from features.features_versions where feature_id = %s
               order by ts, available_at, ingested_at desc""",
            (f"{feature}_sa",),
        ).fetchall()
        self.conn.commit()
        return {(ts, at): Twin(*row) for ts, at, *row in rows}
