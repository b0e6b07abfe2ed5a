"""A small client of Airflow's REST API: what `make up` and tests ask of a running Airflow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import stamina

from feature_store.errors import StackError
from feature_store.stack.supervision import tail

_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_ENDED = {"success", "failed"}


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str

    @property
    def has_ended(self) -> bool:
        """Whether it succeeded or failed."""
        return self.state in _ENDED


@dataclass(frozen=True)
class TaskFailure:
    """A task that failed, and where it wrote why."""

    dag_id: str
    task_id: str
    log: Path

    def reason(self) -> str:
        """What the task raised, from its log of one JSON object a line; CatalogError: ... for example."""
        raised = [
            json.loads(line)["error_detail"][0]  # the causes follow
            for line in self.log.read_text(errors="replace").splitlines()
            if '"error_detail"' in line
        ]
        return f"{raised[-1]['exc_type']}: {raised[-1]['exc_value']}" if raised else tail(self.log)


@dataclass(frozen=True)
class ImportFailure:
    """A DAG file that could not be imported."""

    file: str
    trace: str
    at: datetime


class _StumbleError(StackError):
    """The API server failed at a request."""


class AirflowClient:
    """Speaks to one Airflow as one user; logs in when first needed."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._user, self._password = user, password
        # Never through a proxy: it is this machine.
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._token: str | None = None

    def answers(self) -> bool:
        """Whether the API server answers at all."""
        try:
            return self._http.get("/api/v2/version", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def is_healthy(self) -> bool:
        """Whether API server, database, scheduler, DAG processor and triggerer all report in."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=5)
            health = answer.json() if answer.is_success else {}
        except (httpx.HTTPError, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in _COMPONENTS)

    def warm_up(self) -> None:
        """Have the API server load the part that tasks speak to, which it would put off until the first."""
        try:
            self._http.get("/execution/health", timeout=60)
        except httpx.HTTPError:  # the first task will wait a little longer, that is all
            return

    def dags(self) -> dict[str, str]:
        """The DAGs that are parsed and active, each with its file in the DAGs folder."""
        return {dag["dag_id"]: dag["relative_fileloc"] for dag in self._get("/dags", limit=1000)["dags"]}

    def import_errors(self) -> list[ImportFailure]:
        """The DAG files that could not be imported when they were last parsed."""
        errors = self._get("/importErrors", limit=1000)["import_errors"]
        return [
            ImportFailure(error["filename"], error["stack_trace"], datetime.fromisoformat(error["timestamp"]))
            for error in errors
        ]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run on its schedule."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def create_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool unless it exists; one that exists keeps the size that somebody gave it."""
        if name not in {pool["name"] for pool in self._get("/pools", limit=1000)["pools"]}:
            self._call("POST", "/pools", json={"name": name, "slots": slots, "description": description})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run by hand."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return _run(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def backfill(self, dag_id: str, since: datetime, until: datetime) -> int:
        """Start a backfill of the intervals that begin from `since` to `until`, of those too that ran; its number."""
        asked = {"from_date": since.isoformat(), "to_date": until.isoformat(), "reprocess_behavior": "completed"}
        return int(self._call("POST", "/backfills", json={"dag_id": dag_id, **asked})["id"])

    def backfill_has_ended(self, number: int) -> bool:
        """Whether all runs of a backfill ended."""
        return self._get(f"/backfills/{number}")["completed_at"] is not None

    def runs_between(self, dag_id: str, since: datetime, until: datetime) -> list[Run]:
        """The runs whose interval begins from `since` to `until`."""
        asked = {"logical_date_gte": since.isoformat(), "logical_date_lte": until.isoformat()}
        return [_run(body) for body in self._get(f"/dags/{dag_id}/dagRuns", limit=1000, **asked)["dag_runs"]]

    def run(self, dag_id: str, run_id: str) -> Run:
        """How a run is now."""
        return _run(self._get(f"/dags/{dag_id}/dagRuns/{run_id}"))

    def triggered_by(self, run: Run) -> tuple[list[Run], bool]:
        """The runs that a run's asset events started, and whether some event still waits to be taken up."""
        events = self._get("/assets/events", source_dag_id=run.dag_id, source_run_id=run.run_id)["asset_events"]
        started = {}
        waiting = False
        for event in events:
            followers = event["created_dagruns"]
            waiting = waiting or (not followers and self._has_consumers(event["asset_id"]))
            for follower in followers:
                key = (follower["dag_id"], follower["run_id"])
                started[key] = Run(*key, state=follower["state"])
        return list(started.values()), waiting

    def progress(self, run: Run) -> tuple[int, int]:
        """How many tasks of a run have ended, of how many."""
        tasks = self._tasks(run)
        return sum(task["end_date"] is not None for task in tasks), len(tasks)

    def failures(self, run: Run, task_logs: Path) -> list[TaskFailure]:
        """The tasks of a run that failed, with their log files."""
        return [
            TaskFailure(run.dag_id, task["task_id"], _log(task_logs, task))
            for task in self._tasks(run)
            if task["state"] == "failed"
        ]

    def _tasks(self, run: Run) -> list[dict[str, Any]]:
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        tasks: list[dict[str, Any]] = self._get(path, limit=1000)["task_instances"]
        return tasks

    def _has_consumers(self, asset_id: int) -> bool:
        return bool(self._get(f"/assets/{asset_id}")["scheduled_dags"])

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._call("GET", path, params=params)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        # A busy API server may stumble over a question; what changes something is not asked twice.
        for attempt in stamina.retry_context(on=_StumbleError, attempts=5 if method == "GET" else 1):
            with attempt:
                return self._call_once(method, path, **arguments)
        raise AssertionError("unreachable: the last attempt raises")

    def _call_once(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._send(method, path, **arguments)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the token's day is over
            self._token = None
            answer = self._send(method, path, **arguments)
        if not answer.is_success:
            error = _StumbleError if answer.is_server_error else StackError
            raise error(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        body: dict[str, Any] = answer.json()
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            if self._token is None:
                login = {"username": self._user, "password": self._password}
                answer = self._http.post("/auth/token", json=login)
                if not answer.is_success:
                    raise StackError(f"Airflow refused the login of {self._user!r}: {answer.status_code}")
                self._token = answer.json()["access_token"]
            headers = {"Authorization": f"Bearer {self._token}"}
            return self._http.request(method, f"/api/v2{path}", headers=headers, **arguments)
        except httpx.HTTPError as error:
            raise StackError(f"Airflow at {self._http.base_url} does not answer: {error}") from None


def _run(body: Mapping[str, Any]) -> Run:
    return Run(body["dag_id"], body["dag_run_id"], body["state"])


def _log(task_logs: Path, task: Mapping[str, Any]) -> Path:
    parts = [f"dag_id={task['dag_id']}", f"run_id={task['dag_run_id']}", f"task_id={task['task_id']}"]
    if task["map_index"] >= 0:
        parts.append(f"map_index={task['map_index']}")
    return task_logs.joinpath(*parts, f"attempt={task['try_number']}.log")
