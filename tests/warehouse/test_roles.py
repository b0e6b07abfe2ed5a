"""What the roles of the API may do in the database, above all what not; migrating where roles cannot be made."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from feature_store.catalog import load_catalog
from feature_store.serving import QueryLayer
from feature_store.settings import Settings
from feature_store.stack.api import ensure_logins
from feature_store.stack.postgres import scratch_postgres
from feature_store.warehouse.migrate import migrate

FEATURE = "crypto/btc/price_usd"
WRITES = ("insert into {} default values", "delete from {}", "truncate {}", "drop table {}")
OURS = "('registry', 'raw', 'staging', 'normalized', 'features', 'quality', 'ops')"


@pytest.fixture
def settings(dsn: str, db: psycopg.Connection) -> Settings:
    """Of a store whose API has logins of its own."""
    db.execute("select ops.grant_roles()")  # rights to the database itself are not copied from the template
    db.commit()
    logins = {
        f"FEATURE_STORE_{role.upper()}_DSN": make_conninfo(dsn, user=f"feature_store_api_{role}", password=role * 2)
        for role in ("reader", "publisher")
    }
    made = Settings.model_validate({"FEATURE_STORE_POSTGRES_DSN": dsn, **logins})
    assert ensure_logins(made) == "feature_store_api_reader, feature_store_api_publisher"
    return made


@pytest.fixture
def reader(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.reader_dsn, autocommit=True) as conn:
        conn.execute("set default_transaction_read_only = off")  # as somebody would who has stolen the login
        yield conn


@pytest.fixture
def publisher(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.publisher_dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a server on which nobody has made a role yet."""
    with scratch_postgres(tmp_path_factory.mktemp("bare")) as dsn:
        yield dsn


def tables(db: psycopg.Connection) -> list[str]:
    found = db.execute(
        f"""select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace
        where nspname in {OURS} and relkind in ('r', 'p', 'v', 'm') order by 1""".encode()
    ).fetchall()
    assert len(found) > 50
    return [name for (name,) in found]


def refuses(conn: psycopg.Connection, statement: str) -> bool:
    """Whether the database says that it is not allowed, or that nobody can: views take no rows."""
    try:
        conn.execute(statement.encode())
    except (errors.InsufficientPrivilege, errors.WrongObjectType, errors.ObjectNotInPrerequisiteState):
        return True
    except errors.Error:
        return False
    return False


def test_the_reader_writes_nothing_anywhere(db: psycopg.Connection, reader: psycopg.Connection) -> None:
    for table in tables(db):
        for statement in WRITES:
            assert refuses(reader, statement.format(table)), statement.format(table)
    for statement in (
        "create table features.mine (a int)",
        "create table public.mine (a int)",
        "create schema mine",
        "create temp table mine (a int)",
        "update ops.clock set mode = 'real'",
        "select features.append_versions('features.features_versions')",
        "select ops.open_window('transform')",
        "select ops.grant_roles()",
        "set role feature_store",
    ):
        assert refuses(reader, statement), statement


def test_the_reader_sees_no_key_and_nothing_of_who_reads(db: psycopg.Connection, reader: psycopg.Connection) -> None:
    for table in ("api_keys", "api_leases", "api_reads"):
        assert refuses(reader, f"select * from ops.{table}")
    assert refuses(reader, "select sha256 from ops.api_keys")
    assert refuses(reader, "select rolpassword from pg_authid")


def test_the_reader_can_ask_the_query_layer_everything(settings: Settings, reader: psycopg.Connection) -> None:
    as_api = settings.model_copy(update={"dsn": settings.dsn_reader})
    layer = QueryLayer(as_api, load_catalog())
    assert layer.latest().num_rows == 0
    assert layer.query([FEATURE]).num_rows == 0
    reader.execute("select * from features.as_of('2024-06-01'), features.latest, features.current_definitions")
    reader.execute("select * from features.as_stored('2024-06-01'), features.latest_as_of('2024-06-01')")
    reader.execute("select * from raw.fetches join raw.payloads using (sha256)")
    reader.execute("select count(*) from ops.migrations")
    assert reader.execute("select ops.now() is not null").fetchone() == (True,)


def test_what_dbt_makes_anew_the_reader_can_read(db: psycopg.Connection, reader: psycopg.Connection) -> None:
    for _ in range(2):
        db.execute("drop view if exists features.daily_panel")
        db.execute("create view features.daily_panel as select 1 as day")
        db.execute("create table features.features_values_day (like features.features_values including all)")
        db.commit()
        assert reader.execute("select day from features.daily_panel").fetchall() == [(1,)]
        assert reader.execute("select from features.features_values_day").fetchall() == []
        db.execute("drop table features.features_values_day")


def test_the_publisher_reads_and_writes_what_it_must_and_nothing_else(
    db: psycopg.Connection, publisher: psycopg.Connection
) -> None:
    may = {
        "select * from {} limit 0": {
            "ops.clock",
            "ops.retired_days",
            "ops.api_keys",
            "ops.api_leases",
            "ops.api_reads",
            "ops.api_durations",
        },
        "insert into {} default values": {"ops.api_leases", "ops.api_reads", "ops.api_durations"},
        "delete from {}": {"ops.api_leases"},
        "truncate {}": set(),
        "drop table {}": set(),
    }
    for statement, allowed in may.items():
        found = {table for table in tables(db) if not refuses(publisher, statement.format(table))}
        assert found == allowed, statement
    assert refuses(publisher, "update ops.api_keys set revoked_at = null")
    assert refuses(publisher, "update ops.clock set mode = 'real'")


def test_the_publisher_makes_nothing_that_a_function_could_take_for_something_else(
    db: psycopg.Connection, publisher: psycopg.Connection
) -> None:
    db.execute("""create function features.publish(given text) returns bigint language plpgsql security definer
        set search_path = pg_catalog, pg_temp
        as $$ begin create temp table candidates on commit drop as select given; return 1; end $$""")
    db.execute("select ops.grant_roles()")
    db.commit()
    assert publisher.execute("select features.publish('a')").fetchone() == (1,)
    for statement in (
        "create temp table mine (a int)",  # also once the function has made the session's schema for them
        "create temp view mine as select 1",
        "create function pg_temp.now() returns int language sql as 'select 1'",
        "create table public.mine (a int)",
        "create table ops.mine (a int)",
        "create schema mine",
        "select features.append_versions('ops.api_leases')",
        "select features.drop_day('2024-06-01')",
        "set role feature_store",
    ):
        assert refuses(publisher, statement), statement


def test_only_the_publisher_may_call_publish(
    db: psycopg.Connection, reader: psycopg.Connection, publisher: psycopg.Connection
) -> None:
    db.execute("create function features.publish(given int) returns int language sql security definer as 'select 1'")
    db.commit()
    assert refuses(reader, "select features.publish(1)"), "nobody may before it is granted"
    db.execute("select ops.grant_roles()")
    db.commit()
    assert publisher.execute("select features.publish(1)").fetchone() == (1,)
    assert refuses(reader, "select features.publish(1)")


def test_no_function_of_ours_is_for_everybody(db: psycopg.Connection) -> None:
    found = db.execute(
        f"""select oid::regprocedure::text from pg_proc
        where pronamespace::regnamespace::text in {OURS}
          and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))""".encode()
    ).fetchall()
    assert found == []


def test_databases_of_one_server_migrate_at_once(bare: str) -> None:
    names = [f"at_once_{number}" for number in range(4)]
    with psycopg.connect(bare, autocommit=True) as conn:
        for name in names:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        for role in ("reader", "publisher"):
            conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(f"feature_store_{role}")))
    barrier, failures = threading.Barrier(len(names), timeout=60), []

    def one(name: str) -> None:
        try:
            barrier.wait()
            migrate(make_conninfo(bare, dbname=name))
        except Exception as error:  # the test names it
            failures.append(error)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for name in names:
        with psycopg.connect(make_conninfo(bare, dbname=name)) as conn:
            assert conn.execute(
                "select has_table_privilege('feature_store_reader', 'features.latest', 'select')"
            ).fetchone() == (True,)


@pytest.mark.parametrize("may_make_roles", [False, True])
def test_an_ordinary_owner_migrates_too(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, *, may_make_roles: bool
) -> None:
    """On a server without the roles: where the owner may make roles they are made, else the notice says what to do."""
    with scratch_postgres(tmp_path_factory.mktemp("owned")) as server:
        name, password = f"owner_{uuid4().hex[:6]}", "p"
        attribute = sql.SQL("createrole" if may_make_roles else "nocreaterole")
        owner = sql.Identifier(name)
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(sql.SQL("create role {} login password {} {}").format(owner, password, attribute))
            conn.execute(sql.SQL("create database {} owner {}").format(owner, owner))
        mine = make_conninfo(server, user=name, password=password, dbname=name)
        assert "0021_roles.sql" in migrate(mine)
        told = [record.getMessage() for record in caplog.records if "may not make the roles" in record.getMessage()]
        if not may_make_roles:
            (notice,) = told
            with psycopg.connect(server, autocommit=True) as conn:
                for statement in notice.partition("(")[2].partition(")")[0].split("; "):
                    conn.execute(statement.encode())
            with psycopg.connect(mine) as conn:
                conn.execute("select ops.grant_roles()")
        else:
            assert told == []
        with psycopg.connect(mine) as conn:
            for role, table in (("reader", "features.latest"), ("publisher", "ops.api_leases")):
                asked = conn.execute(
                    "select has_table_privilege(%s, %s, 'select')", (f"feature_store_{role}", table)
                ).fetchone()
                assert asked == (True,)


def test_a_login_gets_the_password_of_the_settings_every_time(settings: Settings, tmp_path: Path) -> None:
    other = make_conninfo(settings.reader_dsn, password="another")
    ensure_logins(
        settings.model_copy(update={"dsn_reader": None, "dsn": settings.dsn})
    )  # nothing of ours: nothing done
    changed = Settings(FEATURE_STORE_POSTGRES_DSN=settings.postgres_dsn, FEATURE_STORE_READER_DSN=other)
    assert ensure_logins(changed) == "feature_store_api_reader"
    psycopg.connect(other).close()
    assert ensure_logins(Settings(FEATURE_STORE_POSTGRES_DSN=settings.postgres_dsn)) == "logins of your own"
