"""The runbook, followed as it is written: each alert is made to fire, looked at, and what made it fire is mended."""

import re
import subprocess
from hashlib import sha256
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
import zstandard

from feature_store.settings import ROOT
from feature_store.stack.supervision import Supervisor
from tests.monitoring.programs import ABSENT, CONFIG

from .prometheus import Prometheus
from .running import COMMAND, Running, wait_for

pytestmark = pytest.mark.slow

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
EXPRESSIONS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PRICE = "crypto/btc/price_usd"


def commands(alert: str, part: str) -> str:
    """The lines for a shell of one part of a section."""
    (text,) = re.findall(rf"^\*\*{part}\.\*\*(.*?)(?=^\*\*|\Z)", SECTIONS[alert], re.MULTILINE | re.DOTALL)
    lines = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    assert lines, f"{alert}: {part}"
    return lines


class Follower:
    """Somebody on call, with the runbook in front of them."""

    def __init__(self, stack: Running, prometheus: Prometheus) -> None:
        self.stack, self.prometheus = stack, prometheus

    def follow(self, alert: str, part: str) -> str:
        """Do as that part of the section says; what the shell printed."""
        lines = commands(alert, part).replace("make up", "feature-store stack up")
        lines = lines.replace("var/logs", str(self.stack.home / "logs"))
        lines = lines.replace("http://127.0.0.1:18080", self.stack.handles["airflow_url"])
        env = {
            **self.stack.env,
            "PATH": f"{Path(COMMAND).parent}:{self.stack.env['PATH']}",
            "FEATURE_STORE_API_URL": self.stack.handles["api_url"],
            "COLUMNS": "250",
        }
        script = f"set -euo pipefail\n{lines}"
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def of(self, alert: str) -> list[dict[str, str]]:
        """The labels of what meets the alert's condition over the last minute: nobody waits for an hour in a test."""
        expr = re.sub(r"\[(5m|1h)\]", "[1m]", EXPRESSIONS[alert])
        return [found["metric"] for found in self.prometheus.query(expr)]

    def wait_until_it_fires(self, alert: str, **labels: str) -> None:
        wait_for(lambda: any(labels.items() <= found.items() for found in self.of(alert)), 300)

    def wait_until_it_is_over(self, alert: str, **labels: str) -> None:
        wait_for(lambda: not any(labels.items() <= found.items() for found in self.of(alert)), 300)


@pytest.fixture
def on_call(stack: Running, prometheus: Prometheus | None) -> Follower:
    if prometheus is None:
        pytest.skip(ABSENT)
    return Follower(stack, prometheus)


def test_every_alert_is_gone_through_here() -> None:
    here = Path(__file__).read_text()
    assert all(f'"{alert}"' in here for alert in EXPRESSIONS)


def test_an_api_that_is_down_is_started(on_call: Follower) -> None:
    Supervisor(on_call.stack.home).stop("api")
    on_call.wait_until_it_fires("ApiDown", job="feature-store-api")
    assert re.search(r"api\s.*stopped", on_call.follow("ApiDown", "Look"))
    on_call.follow("ApiDown", "Fix")
    on_call.wait_until_it_is_over("ApiDown")


def test_errors_of_the_api_are_found_in_its_log(on_call: Follower) -> None:
    on_call.follow("ApiErrors", "Drill")
    info = on_call.stack.handles
    with httpx.Client(
        base_url=info["api_url"], headers={"Authorization": f"Bearer {info['api_key']}"}, trust_env=False, timeout=None
    ) as client:

        def fails() -> bool:
            answer = client.get("/v1/revisions", params={"featureId": "macro/us/vix_index"})
            assert answer.is_server_error
            return bool(on_call.of("ApiErrors"))

        wait_for(fails, 120)
        asked = client.get("/v1/revisions", params={"featureId": "macro/us/vix_index"})
        looked = on_call.follow("ApiErrors", "Look")
        assert asked.headers["X-Request-Id"] in looked
        assert "permission denied" in looked
        on_call.follow("ApiErrors", "Fix")
        assert client.get("/v1/revisions", params={"featureId": "macro/us/vix_index"}).is_success
    on_call.wait_until_it_is_over("ApiErrors")


def test_a_silent_scheduler_is_started(on_call: Follower) -> None:
    Supervisor(on_call.stack.home).stop("airflow-scheduler")
    on_call.wait_until_it_fires("AirflowSchedulerSilent")
    wait_for(lambda: "unhealthy" in on_call.follow("AirflowSchedulerSilent", "Look"), 120)
    on_call.follow("AirflowSchedulerSilent", "Fix")
    on_call.wait_until_it_is_over("AirflowSchedulerSilent")


def test_a_host_that_is_left_alone_is_asked_again(on_call: Follower) -> None:
    on_call.follow("CircuitOpen", "Drill")
    on_call.wait_until_it_fires("CircuitOpen", source="blockchain")
    assert "503" in on_call.follow("CircuitOpen", "Look")
    on_call.follow("CircuitOpen", "Fix")
    wait_for(lambda: not on_call.stack.rows("select from ops.circuits where source = 'blockchain'"), 600)
    on_call.wait_until_it_is_over("CircuitOpen", source="blockchain")


def test_what_is_kept_out_ends_with_the_first_good_answer(on_call: Follower) -> None:
    on_call.follow("RejectsRising", "Drill")
    on_call.wait_until_it_fires("RejectsRising", source="binance")
    assert "unreadable_answer" in on_call.follow("RejectsRising", "Look")
    on_call.follow("RejectsRising", "Fix")
    on_call.wait_until_it_is_over("RejectsRising", source="binance")


def test_a_stale_feature_is_fresh_after_the_next_good_run(on_call: Follower) -> None:
    on_call.follow("FeatureStale", "Drill")
    on_call.wait_until_it_fires("FeatureStale", feature=PRICE)
    assert "unreadable_answer" in on_call.follow("FeatureStale", "Look")
    on_call.follow("FeatureStale", "Fix")
    on_call.wait_until_it_is_over("FeatureStale", feature=PRICE)


def test_what_is_missing_is_read_by_the_next_good_run(on_call: Follower) -> None:
    on_call.follow("FeatureCoverageLow", "Drill")
    on_call.wait_until_it_fires("FeatureCoverageLow", feature=PRICE)
    assert PRICE in on_call.follow("FeatureCoverageLow", "Look")
    on_call.follow("FeatureCoverageLow", "Fix")
    on_call.wait_until_it_is_over("FeatureCoverageLow", feature=PRICE)


def test_an_incident_ends_with_the_check_that_finds_it_mended(on_call: Follower) -> None:
    is_open = f"""select from quality.incidents
        where subject = '{PRICE}' and severity = 'block' and recovered_at is null"""
    on_call.follow("QualityBlocked", "Drill")
    wait_for(lambda: bool(on_call.stack.rows(is_open)), 300)
    on_call.wait_until_it_fires("QualityBlocked")
    assert PRICE in on_call.follow("QualityBlocked", "Look")
    on_call.follow("QualityBlocked", "Fix")
    wait_for(lambda: not on_call.stack.rows(is_open), 300)


def test_the_archive_catches_up_when_s3_is_back(on_call: Follower) -> None:
    """As if S3 had been away for a day."""
    late = ("ExportLagging", "HistoryLagging", "PayloadsWaiting")
    stack = on_call.stack
    Supervisor(stack.home).stop("s3")
    stack.rows("update ops.archived_until set until = until - interval '1 day' returning layer")
    land(stack, 1_200)
    for alert in late:
        on_call.wait_until_it_fires(alert)
        assert re.search(r"s3\s.*stopped", on_call.follow(alert, "Look"))
    for alert in late:
        on_call.follow(alert, "Fix")
        on_call.wait_until_it_is_over(alert)


def land(stack: Running, answers: int) -> None:
    """Answers that wait to be moved."""
    with psycopg.connect(stack.handles["postgres_dsn"]) as conn:
        for number in range(answers):
            answer = f"answer {number}".encode()
            digest = sha256(answer).hexdigest()
            conn.execute(
                "insert into raw.payloads (sha256, content, size_bytes) values (%s, %s, %s)",
                (digest, zstandard.compress(answer), len(answer)),
            )
            conn.execute(
                """insert into raw.fetches (source, stream, endpoint, url, outcome, sha256, fetched_at)
                   values ('binance', 'klines_1m', 'klines', 'https://localhost/klines', 'loaded', %s, ops.now())""",
                (digest,),
            )
