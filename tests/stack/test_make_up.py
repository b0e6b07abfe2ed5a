"""A whole stack of its own on free ports, as `make up` starts it: what a new user gets, end to end."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from feature_store.stack.airflow_client import AirflowClient
from feature_store.stack.ports import free_port
from feature_store.stack.processes import listening_sockets, stack_processes
from feature_store.stack.services import PORTS

COMMAND = str(Path(sys.executable).parent / "feature-store")
CHROMIUM = shutil.which("chromium")


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

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.info()["postgres_dsn"], options="-c timezone=UTC") as conn:
            return conn.execute(query.encode()).fetchall()

    def ask_airflow(self, method: str, path: str, **body: object) -> dict[str, Any]:
        """Any call of Airflow's REST API."""
        info = self.info()
        login = {"username": info["airflow_user"], "password": info["airflow_password"]}
        with httpx.Client(base_url=info["airflow_url"], timeout=30, trust_env=False) as http:
            token = http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            answer = http.request(
                method, f"/api/v2{path}", headers={"Authorization": f"Bearer {token}"}, json=body or None
            )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def airflow(self) -> AirflowClient:
        info = self.info()
        return AirflowClient(info["airflow_url"], info["airflow_user"], info["airflow_password"])


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack that was started once, with no key and no variable but its place and its ports."""
    home = tmp_path_factory.mktemp("stack") / "var"
    env = {name: value for name, value in os.environ.items() if not name.startswith("FEATURE_STORE_")}
    env |= {"FEATURE_STORE_HOME": str(home), **{setting: str(free_port()) for setting, _ in PORTS.values()}}
    running = Running(home, env, "")
    try:
        running.printed = running.call("stack", "up")
        yield running
    finally:
        running.call("stack", "clean")
        assert stack_processes(home) == [], "nothing is left running"


def test_up_prints_the_features_and_the_logins(stack: Running) -> None:
    for text in ("macro/us/walcl_total_usd", "macro/us/tga_balance_usd", "macro/us/rrp_total_usd", "user admin"):
        assert text in stack.printed
    for step in ("postgres", "replay", "airflow", "ingest", "transform"):
        assert f"{step} " in stack.printed, "progress is shown"


def test_the_handles_are_always_there(stack: Running) -> None:
    info = stack.info()
    assert set(info) == {
        "postgres_dsn", "airflow_url", "airflow_user", "airflow_password", "api_url", "api_key",
        "s3_endpoint", "s3_access_key", "s3_secret_key", "s3_uri", "replay_url", "now",
    }  # fmt: skip


def test_sql_shows_dollars_for_every_vintage(stack: Running) -> None:
    ((low, high, vintages),) = stack.rows(
        "select min(value), max(value), count(distinct available_at) from features.features_versions"
        " where feature_id = 'macro/us/walcl_total_usd'"
    )
    assert 1e12 < low < high < 1e13  # type: ignore[operator]
    assert vintages > 400  # type: ignore[operator]
    ((low, high),) = stack.rows(
        "select min(value), max(value) from features.as_of('2024-06-01') where feature_id = 'macro/us/tga_balance_usd'"
    )
    assert 1e10 < low < high < 3e12, "in dollars, though FRED stated billions then"  # type: ignore[operator]
    csv = stack.call("sql", "-c", "select feature_id from features.latest order by 1", "--csv")
    assert csv.splitlines()[0] == "feature_id"
    assert len(csv.splitlines()) == 4


def test_it_went_through_airflow(stack: Running) -> None:
    client = stack.airflow()
    assert set(client.dags()) == {
        "ingest_fred", "backfill_fred", "transform_features", "quality_checks", "maintain_storage",
    }  # fmt: skip
    run_ids = {
        run_id for (run_id,) in stack.rows("select distinct run_id from raw.fetches where run_id like 'manual%'")
    }
    assert run_ids
    assert all(client.run("ingest_fred", str(run_id)).state == "success" for run_id in run_ids)


def test_every_dag_says_what_it_is_and_who_owns_it(stack: Running) -> None:
    client = stack.airflow()
    for dag_id in client.dags():
        details = stack.ask_airflow("GET", f"/dags/{dag_id}/details")
        assert details["doc_md"], dag_id
        assert details["tags"], dag_id
        assert details["owners"] != ["airflow"], dag_id


def test_no_process_listens_beyond_this_machine(stack: Running) -> None:
    sockets = listening_sockets(stack.home)
    assert len(sockets) >= 5
    assert [socket for socket in sockets if not socket.is_loopback] == []


def test_secrets_are_nobody_elses(stack: Running) -> None:
    for path in [stack.home / "secrets.json", *stack.home.glob("**/*.conf"), *stack.home.glob("airflow/*.json")]:
        if path.parent.name != "postgres":  # its folder is closed as a whole
            assert path.stat().st_mode & 0o077 == 0, path
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.info()["postgres_dsn"].replace("feature_store:", "feature_store:wrong"))


def test_quality_ran_and_its_pages_are_there(stack: Running) -> None:
    assert stack.rows("select count(*) > 0 from quality.results where suite = 'candidates'") == [(True,)]
    assert (stack.home / "quality" / "data_docs" / "index.html").exists()
    assert (stack.home / "dbt" / "target" / "static_index.html").exists()


def test_a_backfill_of_months_adds_nothing_that_is_held(stack: Running) -> None:
    before = stack.call("hash")
    backfill = stack.ask_airflow(
        "POST", "/backfills",
        dag_id="backfill_fred", from_date="2024-03-01T00:00:00Z", to_date="2024-04-02T00:00:00Z",
    )  # fmt: skip
    wait_for(lambda: stack.ask_airflow("GET", f"/backfills/{backfill['id']}")["completed_at"] is not None, 240)
    (rows,) = stack.rows("select count(*), sum(rows_loaded) from raw.fetches where run_id like 'backfill%'")
    assert rows[0] > 0  # type: ignore[operator]
    assert rows[1] == 0
    assert stack.call("hash") == before


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed on this machine")
def test_the_pages_open_in_a_browser(stack: Running) -> None:
    from playwright.sync_api import sync_playwright

    info = stack.info()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        page.goto(info["airflow_url"])
        page.fill("input[name=username]", info["airflow_user"])
        page.fill("input[name=password]", info["airflow_password"])
        page.keyboard.press("Enter")
        page.get_by_text("Dags", exact=True).first.wait_for(timeout=30_000)
        page.goto(f"{info['airflow_url']}/dags")
        page.get_by_text("transform_features").first.wait_for(timeout=30_000)
        page.goto((stack.home / "quality" / "data_docs" / "index.html").as_uri())
        page.locator("a:visible", has_text="candidates").first.wait_for(timeout=10_000)
        docs = (stack.home / "dbt" / "target" / "static_index.html").as_uri()
        page.goto(f"{docs}#!/model/model.feature_store.candidates")
        page.get_by_text("What this run may append").first.wait_for(timeout=30_000)
        browser.close()


def test_a_series_that_fails_is_named_and_keeps_nothing_else_from_arriving(stack: Running) -> None:
    replay = stack.info()["replay_url"]
    fault = {"kind": "status", "status": 400, "series": "SP500", "count": None, "message": "No such luck."}
    httpx.post(f"{replay}/_faults", json=fault).raise_for_status()
    try:
        printed = stack.call("stack", "up")
    finally:
        httpx.delete(f"{replay}/_faults")
    assert "fred/observations/SP500" in printed
    assert "No such luck." in printed
    assert "its log: " in printed
    assert "The other series arrived." in printed
    assert "3 features" in printed


def test_state_survives_down_and_up(stack: Running) -> None:
    before, password = stack.call("hash"), stack.info()["airflow_password"]
    stack.call("stack", "down")
    assert stack_processes(stack.home) == []
    with pytest.raises(httpx.TransportError):
        httpx.get(stack.info()["airflow_url"])
    stack.call("stack", "up")
    assert stack.call("hash") == before
    assert stack.info()["airflow_password"] == password


def test_up_on_a_running_stack_changes_nothing(stack: Running) -> None:
    before = stack.call("hash")
    stack.call("stack", "up")
    assert stack.call("hash") == before


def test_status_shows_sources_without_a_connector(stack: Running) -> None:
    status = json.loads(stack.call("status", "--json"))
    connectors = {row["source"]: row["connector"] for row in status["sources"]}
    assert connectors["fred"] == "connected"
    assert connectors["etherscan"] == "no connector yet"
    assert len(status["features"]) == 3
    assert all(row["rows_fetched"] >= row["rows_loaded"] for row in status["fetches"])
