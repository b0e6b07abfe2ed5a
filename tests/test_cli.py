"""The command line on a database of its own: answers for people and for scripts, and errors that say what to do."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "feature-store")


@pytest.fixture
def env(dsn: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "FEATURE_STORE_POSTGRES_DSN": dsn, "FEATURE_STORE_HOME": str(tmp_path), "COLUMNS": "200"}


def call(env: dict[str, str], *arguments: str, expect: int = 0) -> str:
    done = subprocess.run([COMMAND, *arguments], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_setting_is_shown_and_no_secret_is(env: dict[str, str]) -> None:
    shown = call({**env, "FRED_API_KEY": "k3y" * 11, "FEATURE_STORE_RETENTION_DAYS": "45"}, "settings")
    for name in ("FEATURE_STORE_EXPORT_S3_URI", "FEATURE_DQ_COVERAGE_MIN", "FEATURE_STORE_PORT_AIRFLOW", "45"):
        assert name in shown
    assert "k3yk3y" not in shown


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("FEATURE_STORE_RETENTION_DAYS", "soon", "FEATURE_STORE_RETENTION_DAYS"),
        ("FEATURE_STORE_PARQUET_BATCH_CRON", "every day", "cron expression of five fields"),
        ("FEATURE_STORE_UPSTREAM", "maybe", "'replay' or 'live'"),
        ("FEATURE_STORE_PORT_AIRFLOW", "80", "1024"),
        ("FEATURE_DQ_COVERAGE_MIN", "80", "less than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(env: dict[str, str], name: str, value: str, told: str) -> None:
    said = call({**env, name: value}, "settings", expect=1)
    assert told in " ".join(said.split())
    assert "Traceback" not in said


def test_sql_prints_a_table_or_csv(env: dict[str, str]) -> None:
    assert "five" in call(env, "sql", "-c", "select 5 as five")
    rows = list(csv.DictReader(io.StringIO(call(env, "sql", "-c", "select 1 as a, 'x,y' as b;", "--csv"))))
    assert rows == [{"a": "1", "b": "x,y"}]
    said = call(env, "sql", "-c", "select * from nowhere", expect=1)
    assert said.startswith("QueryError: Catalog Error: Table with name nowhere does not exist!")
    assert "Traceback" not in said
    assert "leaked" not in said, "what DuckDB's binding says when it was not closed"
    assert f" {'wide' * 40} \n" in call(env, "sql", "-c", f"select '{'wide' * 40}' as w")
    assert " [red]x[/] " in call(env, "sql", "-c", """select '[red]x[/]' as "[b]\"""")
    assert "the first 1000 rows: --csv" in call(env, "sql", "-c", "from range(1001)")
    assert call(env, "sql", "-c", "from range(1001)", "--csv").count("\n") == 1002


PRINTED = {
    "null": "",
    "''": '""',
    "'say \"a\", b'": '"say ""a"", b"',
    "1 = 1": "true",
    "0.1::double + 0.2": "0.30000000000000004",
    "1e300::double": "1e+300",
    "12345678901234567890.12::decimal(30, 2)": "12345678901234567890.12",
    "timestamptz '2024-06-03 15:30+02'": "2024-06-03T13:30:00+00:00",
    "timestamptz '2024-06-03 13:30:00.25Z'": "2024-06-03T13:30:00.250000+00:00",
    "timestamptz 'infinity'": "infinity",
    "date '2024-06-03'": "2024-06-03",
    "interval '2 days 03:04:05'": "2 days 03:04:05",
    "interval '-90 seconds'": "-00:01:30",
    "'{\"a\": [1]}'::json": '"{""a"": [1]}"',
    "[date '2024-06-03']": '"[""2024-06-03""]"',
    "'\\xFF'::blob": "\\xff",
}


def test_csv_has_values_as_they_can_be_read_again(env: dict[str, str]) -> None:
    columns = ", ".join(f"{value} as c{number}" for number, value in enumerate(PRINTED))
    _, row = call(env, "sql", "--csv", "-c", f"select {columns}").splitlines()
    assert row == ",".join(PRINTED.values())


def test_every_table_is_there_under_its_own_name(env: dict[str, str]) -> None:
    shown = call(env, "sql", "-c", "select feature_id from features.latest order by 1", "--csv")
    assert shown == "feature_id\n"
    names = converse(env, ".tables\n").splitlines()
    assert {"features.latest", "features.features_values", "raw.fetches", "registry.features_catalog"} < set(names)
    assert not any("_2024" in name for name in names), "partitions are no tables"
    every = " union all ".join(f"select '{name}' as name, count(*) from (select * from {name})" for name in names)
    assert len(call(env, "sql", "--csv", "-c", every).splitlines()) == 1 + len(names)
    assert "transform_features" in call(env, "sql", "-c", "select * from features.daily_panel", expect=1)


def test_statements_on_stdin_are_answered_one_by_one(env: dict[str, str]) -> None:
    typed = "select 1 as a;\n-- and\nselect 'x;\ny' as b,\n  2 as c; select 3 as d;\n\ncreate table t as select 4 as e;"
    assert converse(env, f"{typed}\nfrom t", "--csv") == 'a\n1\nb,c\n"x;\ny",2\nd\n3\nCount\n1\ne\n4\n'
    assert converse(env, "select 1 as a;\n\\q\nselect 2 as b;\n", "--csv") == "a\n1\n"
    assert "copy (select ...)" in converse(env, ".help\n")
    failed = converse(env, "select 1 as a;\nselect z;\nfrom from;\nselect 2 as b;\n", "--csv", expect=1)
    assert failed.startswith("a\n1\nb\n2\n")
    assert failed.count("QueryError") == 2


def test_what_is_typed_at_a_terminal_is_remembered(env: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([COMMAND, "sql"], env=env, stdin=theirs, stdout=theirs, stderr=theirs) as shell:
        os.close(theirs)
        os.write(ours, b"select 40 + 2\n as answer;\nselect oops;\n.quit\n")
        shown = b""
        with suppress(OSError):  # the end of a terminal whose program is gone
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert shell.returncode == 0
    assert b"sql> " in shown
    assert b"42" in shown
    assert b"QueryError" in shown
    assert "select 40 + 2" in (tmp_path / "sql_history").read_text()


def test_psql_opens_on_the_database(env: dict[str, str]) -> None:
    assert call(env, "psql", "--csv", "-c", "select current_schema() as here") == "here\npublic\n"
    assert "features_versions" in call(env, "psql", "-c", r"\d features.*")


def converse(env: dict[str, str], typed: str, *options: str, expect: int = 0) -> str:
    """What `sql` says to statements on stdin."""
    done = subprocess.run([COMMAND, "sql", *options], env=env, input=typed, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_equal_content_has_equal_hashes_as_of_any_instant(env: dict[str, str]) -> None:
    empty = call(env, "hash").strip()
    assert len(empty) == 64
    assert call(env, "hash", "--as-of", "2024-06-01T16:30:00Z").strip() == empty
    assert "is no instant" in call(env, "hash", "--as-of", "yesterday", expect=2)
    assert call(env, "hash", "--feature", "crypto/btc/price_usd").strip() == empty
    assert "crypto/btc/prise_usd" in call(env, "hash", "--feature", "crypto/btc/prise_usd", expect=1)


def test_status_is_readable_by_scripts(env: dict[str, str]) -> None:
    status = json.loads(call(env, "status", "--json"))
    assert status["clock"] == "real"
    assert {"series", "features", "fetches", "rejects", "sources"} < set(status)
    assert "connected" in call(env, "status")


def test_without_a_stack_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FEATURE_STORE_")}
    said = call({**env, "FEATURE_STORE_HOME": str(tmp_path)}, "status", expect=1)
    assert "make up" in said
    assert "Traceback" not in said


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    dsn = "postgresql://someone:t0psecret@127.0.0.1:1/nowhere"
    said = call({**os.environ, "FEATURE_STORE_POSTGRES_DSN": dsn}, "hash", expect=1)
    assert "127.0.0.1:1/nowhere cannot be reached" in " ".join(said.split())
    assert "t0psecret" not in said


@pytest.mark.parametrize("group", ["archive", "catalog", "quality", "replay", "stack", "replay clock", "replay fault"])
def test_every_group_explains_itself(group: str) -> None:
    done = subprocess.run([COMMAND, *group.split(), "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
