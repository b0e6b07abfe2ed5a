"""Airflow's own task runner calls the callback: a task that fails alerts once, its recovery is told by the next."""

import os
import subprocess
import sys
from pathlib import Path

from tests.quality import WALCL

from .webhook import PATH, listening

_DAG = f'''
from airflow.sdk import dag, get_current_context, task
from feature_store.quality.incidents import follow
from feature_store.quality.notifier import SendAlerts
from feature_store.quality.results import RuleResult
from feature_store.warehouse.connection import connect


@task
def check():
    holds = get_current_context()["dag_run"].conf["holds"]
    about = ("freshness", "freshness", "warn", "table", "{WALCL}", holds)
    found = RuleResult(*about, None, None, "3 days", "1 day", "because")
    with connect() as conn:
        follow(conn, "run", "fred", [found])
    assert holds, "the check found a breach"


@dag(schedule=None, default_args={{**SendAlerts.after_each_task(), "retries": 0}})
def checks():
    check()


found = checks()
if __name__ == "__main__":
    print(*(found.test(run_conf={{"holds": holds}}).state for holds in (False, False, True)))
'''


def test_a_failing_task_alerts_once_and_the_next_that_succeeds_tells_of_the_recovery(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "dags" / "checks.py"
    file.parent.mkdir()
    file.write_text(_DAG)
    with listening() as webhook:
        held = {name: value for name, value in os.environ.items() if not name.startswith(("FEATURE_STORE_", "AIRFLOW"))}
        env = held | {
            "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "FEATURE_STORE_HOME": str(tmp_path),
            "FEATURE_STORE_POSTGRES_DSN": dsn, "FEATURE_STORE_ALERT_WEBHOOK": webhook.url,
        }  # fmt: skip
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, capture_output=True, check=True)
        ran = subprocess.run([sys.executable, file], env=env, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1:] == ["failed failed success"], ran.stdout + ran.stderr
    assert webhook.told() == [("opened", WALCL, "freshness"), ("recovered", WALCL, "freshness")]
    assert PATH not in ran.stdout + ran.stderr
