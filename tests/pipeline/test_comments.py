"""Analysts live in SQL: whatever they find in the database says what it is, after the migrations and dbt's models."""

import psycopg

from .store import Store

UNEXPLAINED = """
with ours as (
  select oid, nspname from pg_namespace where nspname = any(%(schemas)s)
),
relations as (
  select c.oid, nspname || '.' || relname as name
  from pg_class c join ours on ours.oid = relnamespace
  where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
)
select nspname from ours where obj_description(oid, 'pg_namespace') is null
union all
select name from relations where obj_description(oid, 'pg_class') is null
union all
select name || '.' || attname from relations join pg_attribute on attrelid = oid
where attnum > 0 and not attisdropped and col_description(oid, attnum) is null
union all
select p.oid::regprocedure::text from pg_proc p join ours on ours.oid = pronamespace
where obj_description(p.oid, 'pg_proc') is null
"""
SCHEMAS = ["registry", "raw", "staging", "normalized", "features", "quality", "ops"]


def unexplained(conn: psycopg.Connection) -> list[str]:
    return [name for (name,) in conn.execute(UNEXPLAINED, {"schemas": SCHEMAS})]


def test_every_schema_relation_column_and_function_is_explained(store: Store) -> None:
    assert unexplained(store.conn) == []


def test_nothing_of_ours_lies_in_another_schema(store: Store) -> None:
    schemas = {name for (name,) in store.conn.execute("select nspname from pg_namespace where nspname !~ '^pg_'")}
    assert schemas - {"information_schema", "public"} == set(SCHEMAS)
    assert store.conn.execute("select 1 from pg_class where relnamespace = 'public'::regnamespace").fetchall() == []


def test_a_thing_without_a_comment_is_noticed(store: Store) -> None:
    before = set(unexplained(store.conn))
    store.conn.execute("create table ops.new (a int)")
    store.conn.execute("create view ops.seen as select 1 as b")
    store.conn.execute("create function ops.f(int) returns int language sql as 'select 1'")
    noticed = set(unexplained(store.conn)) - before
    assert noticed == {"ops.new", "ops.new.a", "ops.seen", "ops.seen.b", "ops.f(integer)"}


def test_a_view_says_what_its_model_says(store: Store) -> None:
    said = store.conn.execute(
        "select obj_description(oid, 'pg_class'), col_description(oid, 1) from pg_class"
        " where oid = 'staging.stg_fred__observations'::regclass"
    ).fetchone()
    assert said == ("FRED observations under the store's names; a view, nothing is left out.", "FRED series id.")
