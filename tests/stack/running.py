"""A whole stack for tests, as `make up` starts it: what there is to ask of it, and to do to it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from feature_store import clock
from feature_store.archive.content import content_hash
from feature_store.catalog import Catalog, load_catalog
from feature_store.catalog.sync import sync
from feature_store.pipeline.simulate import without_budgets
from feature_store.pipeline.transform import transform
from feature_store.settings import Settings
from feature_store.sources.contract import Window
from feature_store.stack.airflow_client import AirflowClient, Run
from feature_store.stack.supervision import Supervisor
from feature_store.warehouse.ingest import ingest
from tests.faults import add_fault, clear_faults
from tests.lineage import features_of

COMMAND = str(Path(sys.executable).parent / "feature-store")
WORDS = {
    "postgres": "postgres -D",
    "s3": "weed",
    "replay": "feature_store.replay",
    "api": "feature_store.serving.api",
    "airflow-scheduler": "scheduler",
}
"""What tells a service among those of the supervisor, in its command line."""


@dataclass
class Running:
    """A stack under test and what its first start printed."""

    home: Path
    env: dict[str, str]
    printed: str

    def call(self, *arguments: str, expect: int = 0) -> str:
        """Run the command line against this stack."""
        done = subprocess.run([COMMAND, *arguments], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == expect, f"{arguments} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def info(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.call("stack", "info", "--json"))
        return found

    @cached_property
    def handles(self) -> dict[str, str]:
        """What stays as it is: addresses and logins."""
        return self.info()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.handles["postgres_dsn"], options="-c timezone=UTC") as conn:
            return conn.execute(query.encode()).fetchall()

    def ask_airflow(self, method: str, path: str, **body: object) -> dict[str, Any]:
        """Any call of Airflow's REST API."""
        info = self.handles
        login = {"username": info["airflow_user"], "password": info["airflow_password"]}
        with httpx.Client(base_url=info["airflow_url"], timeout=None, trust_env=False) as http:
            token = http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            answer = http.request(
                method, f"/api/v2{path}", headers={"Authorization": f"Bearer {token}"}, json=body or None
            )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def airflow(self) -> AirflowClient:
        info = self.handles
        return AirflowClient(info["airflow_url"], info["airflow_user"], info["airflow_password"])

    def run(self, *dag_ids: str) -> None:
        """Trigger DAGs and wait until each run has succeeded."""
        client = self.airflow()
        started = [client.trigger(dag_id) for dag_id in dag_ids]
        wait_for(lambda: all(client.run(run.dag_id, run.run_id).has_ended for run in started), 300)
        ended = [client.run(run.dag_id, run.run_id) for run in started]
        assert {run.state for run in ended} == {"success"}, ended

    def states(self, run: Run, task_id: str) -> list[str]:
        """The states of a task of a run, one for each stream it was mapped over."""
        tasks = self.ask_airflow("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances")["task_instances"]
        return [task["state"] for task in tasks if task["task_id"] == task_id]

    def freeze(self, instant: str | None = None) -> None:
        """Stand still, with everything of that instant in features: a minute from now if no other is given.

        Minutes arrive all the time, and the clock never goes behind what was ingested.
        """
        soon = datetime.fromisoformat(self.info()["now"]) + timedelta(minutes=1)
        self.call("replay", "clock", "set", instant or soon.isoformat())
        self.settle()

    def settle(self) -> None:
        """Have everything in features that there is to know: what is due later finds the same, while the clock stands.

        Runs wait here for those before them.
        """
        self.run(*(f"ingest_{source.slug}" for source in load_catalog().sources.values()))
        self.run("transform_features")

    def backfill(self, dag_id: str, since: str, until: str) -> int:
        """Start a backfill as the form of the UI does, of months too that were loaded already; its id."""
        made = self.ask_airflow(
            "POST", "/backfills", dag_id=dag_id, from_date=since, to_date=until, reprocess_behavior="completed"
        )
        return int(made["id"])

    def wait_for_backfill(self, number: int, seconds: float = 240) -> None:
        wait_for(lambda: self.ask_airflow("GET", f"/backfills/{number}")["completed_at"] is not None, seconds)

    def fault(self, **fault: object) -> None:
        add_fault(self.handles["replay_url"], **fault)

    def clear_faults(self) -> None:
        clear_faults(self.handles["replay_url"])

    def kill(self, service: str) -> None:
        """SIGKILL a service and everything that it started, at once."""
        pid = Supervisor(self.home).pid
        assert pid is not None
        (leader,) = [p for p in psutil.Process(pid).children() if WORDS[service] in " ".join(p.cmdline())]
        victims = [leader, *leader.children(recursive=True)]
        for process in victims:
            process.kill()
        psutil.wait_procs(victims, timeout=10)

    def histories(self) -> str:
        """What is known of the features that another store can load in one go."""
        settings = Settings(
            FEATURE_STORE_POSTGRES_DSN=self.handles["postgres_dsn"],
            FEATURE_STORE_HOME=self.home,
            FEATURE_STORE_PORT_S3=int(self.env["FEATURE_STORE_PORT_S3"]),
        )
        return _known(settings, load_catalog())

    def undisturbed_histories(self, dsn: str, scratch: Path) -> str:
        """The same of another store, loaded from the same replay server at the same instant.

        `dsn` is of a migrated, empty database. Its minutes begin where ours do.
        """
        info = self.info()
        catalog = without_budgets(load_catalog())
        settings = Settings(
            FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_REPLAY_URL=info["replay_url"], FEATURE_STORE_HOME=scratch
        )
        now = datetime.fromisoformat(info["now"])
        with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
            sync(conn, catalog)
            clock.freeze(conn, now)
            for slug, stream in _histories(catalog):
                for series in catalog.series(slug, stream):
                    ((since,),) = self.rows(f"select min(ts) from raw.{slug}_{stream} where series = '{series.name}'")
                    ingest(conn, catalog, settings, series, Window(since, now) if slug == "binance" else None)
            transform(conn, catalog, settings, "undisturbed")
            return _known(settings, catalog)


def _histories(catalog: Catalog) -> list[tuple[str, str]]:
    """The streams that answer the same however often and late they are asked."""
    return [
        (slug, stream)
        for slug in ("fred", "binance")
        for stream in catalog.streams(slug)
        if catalog.source(slug).streams[stream].history != "none"
    ]


def _known(settings: Settings, catalog: Catalog) -> str:
    """A hash over all that is known of the features of these streams, and of those computed from them alone."""
    known = content_hash(settings, features=features_of(catalog, _histories(catalog)))
    assert known != content_hash(settings, features=[]), "something is known"
    return known


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.5)
