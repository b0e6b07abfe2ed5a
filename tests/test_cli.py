"""The command line on a database of its own: answers for people and for scripts, and errors that say what to do."""

import csv
import io
import json
import os
import subprocess
import sys
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
    assert 'relation "nowhere" does not exist' in call(env, "sql", "-c", "select * from nowhere", expect=1)


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
