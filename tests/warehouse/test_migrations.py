"""Migrations are ordered, safe to run again, and leave nothing unexplained."""

from pathlib import Path

import psycopg
import pytest

from feature_store.errors import WarehouseError
from feature_store.warehouse.migrate import MIGRATIONS, migrate
from feature_store.warehouse.partitions import make_ahead


def test_running_again_applies_nothing(dsn: str) -> None:
    assert migrate(dsn) == []


def test_each_file_may_run_on_a_database_that_has_it_already(db: psycopg.Connection) -> None:
    for path in sorted(MIGRATIONS.glob("*.sql")):
        db.execute(path.read_bytes())


def test_a_file_that_changed_after_it_was_applied_is_an_error(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "9000_new.sql").write_text("create table ops.probe (a int);")
    assert migrate(dsn, tmp_path) == ["9000_new.sql"]
    (tmp_path / "9000_new.sql").write_text("create table ops.probe (b int);")
    with pytest.raises(WarehouseError, match=r"9000_new\.sql was applied and has changed"):
        migrate(dsn, tmp_path)


def test_a_file_that_fails_leaves_no_trace(dsn: str, db: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "9001_bad.sql").write_text("create table ops.half (a int); select 1 / 0;")
    with pytest.raises(WarehouseError, match=r"9001_bad\.sql failed and was rolled back: division by zero"):
        migrate(dsn, tmp_path)
    assert db.execute("select to_regclass('ops.half')").fetchone() == (None,)


def test_every_table_view_column_and_function_is_explained(db: psycopg.Connection) -> None:
    undocumented = db.execute(
        """
        with ours as (
          select c.oid, n.nspname || '.' || c.relname as name
          from pg_class c join pg_namespace n on n.oid = relnamespace
          where nspname in ('registry', 'raw', 'features', 'quality', 'ops') and relkind in ('r', 'p', 'v')
            and not relispartition
        )
        select name from ours where obj_description(oid, 'pg_class') is null
        union all
        select name || '.' || attname from ours join pg_attribute on attrelid = oid
        where attnum > 0 and not attisdropped and col_description(oid, attnum) is null
        union all
        select p.proname from pg_proc p join pg_namespace n on n.oid = pronamespace
        where nspname in ('registry', 'raw', 'features', 'quality', 'ops')
          and obj_description(p.oid, 'pg_proc') is null
        """
    ).fetchall()
    assert undocumented == []


def test_partitions_are_made_ahead_once(db: psycopg.Connection) -> None:
    assert make_ahead(db, days=7) == 2 * (8 + 2)
    assert make_ahead(db, days=7) == 0


def test_as_of_reads_one_partition_when_asked_for_one_year(db: psycopg.Connection) -> None:
    db.execute("select features.ensure_partitions('daily', '2015-01-01', '2026-01-01')")
    plan = "\n".join(
        line
        for (line,) in db.execute(
            """explain select * from features.as_of('2024-06-01')
               where feature_id = 'x' and ts >= '2023-02-01' and ts < '2023-03-01'"""
        )
    )
    assert "features_versions_daily_2023" in plan
    assert "features_versions_daily_2022" not in plan
