"""kill -9 in the middle of a run, then `make up`: the store ends where one ends that nobody disturbed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .running import Running, wait_for


def test_a_month_of_minutes_arrives_although_the_database_is_killed_on_the_way(
    stack: Running, dsn: str, tmp_path: Path
) -> None:
    oldest = datetime.fromisoformat(manifest(stack)["minutes_start"]).replace(tzinfo=UTC)
    month = oldest.replace(day=1)
    following = (month + timedelta(days=31)).replace(day=1)
    if following > datetime.now(UTC):
        pytest.skip("replay's minutes reach 30 days back, and no month of them is over yet")
    stack.fault(kind="timeout", seconds=1, source="binance", path="klines", count=None)
    number = stack.backfill("backfill_binance", iso(month), iso(following))
    wait_for(lambda: bool(stack.rows(f"select from ops.window_progress where since = '{iso(month)}'")), 240)

    stack.kill("postgres")
    stack.clear_faults()
    stack.call("stack", "up")
    stack.wait_for_backfill(number)
    stack.settle()

    assert stack.histories() == stack.undisturbed_histories(dsn, tmp_path)
    assert stack.rows("select min(ts) from raw.binance_klines_1m") == [(oldest,)]
    assert stack.rows(f"select from ops.window_progress where since = '{iso(month)}'") == []
    what_became_of_the_streams(stack, month)


def what_became_of_the_streams(stack: Running, month: datetime) -> None:
    """A stream without history is skipped, and says why."""
    (run,) = stack.ask_airflow("GET", "/dags/backfill_binance/dagRuns")["dag_runs"]
    assert run["state"] == "success"
    path = f"/dags/backfill_binance/dagRuns/{run['dag_run_id']}/taskInstances"
    tasks = [t for t in stack.ask_airflow("GET", path)["task_instances"] if t["task_id"] == "fetch_and_load"]
    states = {task["rendered_map_index"]: task["state"] for task in tasks}
    histories = ("klines_1m", "klines_1h", "funding_rate", "open_interest_hist")
    snapshots = ("ticker_24h", "depth", "open_interest")
    assert states == dict.fromkeys(histories, "success") | dict.fromkeys(snapshots, "skipped")
    snapshot = next(task for task in tasks if task["state"] == "skipped")
    said = stack.ask_airflow(
        "GET", f"{path}/fetch_and_load/logs/{snapshot['try_number']}?map_index={snapshot['map_index']}"
    )
    assert "its history arises by living through it" in json.dumps(said)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["airflow-scheduler", "replay", "s3"])
def test_a_day_arrives_although_a_service_is_killed_on_the_way(
    stack: Running, dsn: str, tmp_path: Path, service: str
) -> None:
    stack.call("replay", "clock", "advance", "--days", "1")
    client = stack.airflow()
    if service == "s3":
        stack.settle()
        run = client.trigger("export_parquet")
        wait_for(lambda: "running" in stack.states(run, "export"), 300)
    else:
        stack.fault(kind="timeout", seconds=0.3, source="binance", path="klines", count=None)
        run = client.trigger("ingest_binance")
        wait_for(lambda: "running" in stack.states(run, "fetch_and_load"), 120)

    stack.kill(service)
    stack.call("stack", "up")
    stack.clear_faults()
    stack.settle()
    stack.run("export_parquet")

    assert stack.histories() == stack.undisturbed_histories(dsn, tmp_path)
    assert stack.rows("select count(*) from ops.dirty_days") == [(0,)]


def manifest(stack: Running) -> dict[str, str]:
    found: dict[str, str] = json.loads((stack.home / "replay" / "replay.json").read_text())
    return found


def iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
