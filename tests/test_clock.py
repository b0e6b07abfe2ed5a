"""One clock for SQL and Python: real, offset or frozen, and it never goes behind what was ingested."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from feature_store import clock
from feature_store.errors import ReplayError
from feature_store.settings import ROOT

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_it_is_real_until_it_is_set(db: psycopg.Connection) -> None:
    assert clock.show(db).mode == "real"
    assert abs(clock.now(db) - datetime.now(UTC)) < timedelta(minutes=1)


def test_frozen_it_stands_still_and_advances_by_hand(db: psycopg.Connection) -> None:
    clock.freeze(db, NOON)
    assert clock.now(db) == clock.now(db) == NOON
    clock.advance(db, timedelta(hours=1))
    assert clock.show(db) == clock.Clock("frozen", NOON + timedelta(hours=1))


def test_offset_it_runs_on_from_there(db: psycopg.Connection) -> None:
    clock.set_running(db, NOON)
    first = clock.now(db)
    assert NOON <= first < clock.now(db)
    clock.advance(db, timedelta(days=1))
    assert clock.now(db) > NOON + timedelta(days=1)


def test_it_outlives_the_connection(db: psycopg.Connection, dsn: str) -> None:
    clock.freeze(db, NOON)
    with psycopg.connect(dsn) as other:
        assert clock.now(other) == NOON


def test_it_never_goes_behind_what_was_ingested(db: psycopg.Connection) -> None:
    db.execute("insert into ops.feature_writes values ('f', %s)", (NOON,))
    db.commit()
    for back in (
        lambda: clock.freeze(db, NOON - timedelta(1)),
        lambda: clock.set_running(db, NOON - timedelta(1)),
    ):
        with pytest.raises(ReplayError, match="points were ingested at 2024-03-01"):
            back()
    with pytest.raises(ReplayError, match="only moves forward"):
        clock.advance(db, timedelta(seconds=-1))
    clock.release(db)
    assert clock.show(db).mode == "real"


PLANTED_PYTHON = [
    "from datetime import datetime, UTC\nfound = datetime.now(UTC)\n",
    "import datetime as dt\nfound = dt.datetime.now(dt.UTC)\n",
    "from datetime import datetime\nfound = {'default': datetime.utcnow}\n",
    "from datetime import date\nfound = date.today()\n",
    "from time import time as seconds\nfound = seconds()\n",
    "import time\nfound = time.time_ns()\n",
    "import pandas as pd\nfound = pd.Timestamp.now(tz='UTC')\n",
    "from airflow.sdk import timezone\nfound = timezone.utcnow()\n",
]


@pytest.mark.parametrize(
    "folder", ["include/feature_store/warehouse", "include/feature_store/replay", "dags", "plugins"]
)
def test_the_linter_refuses_another_now_in_python(folder: str) -> None:
    for source in PLANTED_PYTHON:
        assert "TID251" in ruff(f"{folder}/planted.py", source), source


def test_the_linter_allows_real_time_where_it_is_right() -> None:
    for name in ("stack/up.py", "sources/circuit.py", "quality/vendored.py"):
        assert "TID251" not in ruff(f"include/feature_store/{name}", PLANTED_PYTHON[0])
    assert "TID251" not in ruff("include/feature_store/warehouse/planted.py", "import time\nx = time.monotonic()\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("include/feature_store/warehouse/planted.sql", "select now()"),
        ("include/feature_store/warehouse/planted.sql", "select pg_catalog.NOW ( )"),
        ("include/feature_store/warehouse/migrations/0099_planted.sql", "at timestamptz default clock_timestamp()"),
        ("include/feature_store/warehouse/planted.py", 'conn.execute(f"select {x} where ts < current_timestamp")'),
        ("dbt_project/models/planted.sql", "select ops.now(),\n  current_date"),
        ("dbt_project/macros/planted.sql", "{{ run_started_at }}"),
        ("dbt_project/macros/planted.sql", "{{ modules.datetime.datetime.now() }}"),
        ("dbt_project/models/planted.yml", "where: ts < localtimestamp"),
        ("dags/planted.py", "sql = \"select 'now'::timestamptz\""),
        ("plugins/planted.py", "sql = 'select statement_timestamp()'"),
    ],
)
def test_the_linter_refuses_another_now_in_sql(tmp_path: Path, name: str, text: str) -> None:
    code, said = one_now(tmp_path, name, text)
    assert code == 1
    assert said.startswith(f"{name}:{text.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dbt_project/models/planted.sql", "-- not now()\nselect ops.now() /* current_date */ {# now() #}"),
        ("dbt_project/models/planted.yml", "description: a # now()"),
        ("include/feature_store/planted.py", '"""Not now()."""\nfound = now()\nsql = "select ops.now()"'),
    ],
)
def test_the_linter_allows_ops_now_and_words_about_time(tmp_path: Path, name: str, text: str) -> None:
    assert one_now(tmp_path, name, text) == (0, "")


def test_make_check_asks_both_linters_about_the_whole_product() -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert "ruff check ." in recipe
    assert ".ci/one_now.py" in recipe


def ruff(name: str, source: str) -> str:
    """What ruff says of `source`, were it in the file `name`, by the repository's own settings."""
    command = [str(Path(sys.executable).parent / "ruff"), "check", "--no-cache", f"--stdin-filename={name}", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False, cwd=ROOT).stdout


def one_now(root: Path, name: str, text: str) -> tuple[int, str]:
    """The exit code and the words of the SQL check over a tree that holds one file."""
    planted = root / name
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    command = [sys.executable, str(ROOT / ".ci" / "one_now.py"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout
