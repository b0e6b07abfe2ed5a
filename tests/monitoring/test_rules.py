"""Prometheus' own tools judge its configuration and the alerts, and each alert is shown at work."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from feature_store.settings import ROOT

from .programs import ABSENT, CONFIG, program

PROMTOOL = program("promtool")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
SHOWN = yaml.safe_load((CONFIG / "alerts_test.yml").read_text())["tests"]


@pytest.mark.skipif(PROMTOOL is None, reason=ABSENT)
@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
        ["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(command: list[str]) -> None:
    done = subprocess.run([str(PROMTOOL), *command], cwd=CONFIG, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_begin(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert told.keys() == {"summary", "description", "runbook_url"}
    assert re.search(r"\bLook\s+first at\b", told["description"])
    assert told["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_shown_to_fire_and_not_to(rule: dict[str, Any]) -> None:
    cases = [case for shown in SHOWN for case in shown.get("alert_rule_test", []) if case["alertname"] == rule["alert"]]
    fired = [alert for case in cases for alert in case.get("exp_alerts", [])]
    assert fired
    assert all(alert["exp_annotations"].keys() == rule["annotations"].keys() for alert in fired)
    assert any("exp_alerts" not in case for case in cases)


def test_the_runbook_has_a_section_for_each_alert() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert {rule["alert"] for rule in RULES} <= set(headings)


def test_where_compose_has_them_is_where_prometheus_looks() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    (port,) = [port.rsplit(":", 1)[1] for port in services["api"]["ports"]]
    targets = yaml.safe_load((CONFIG / "targets.yml").read_text())
    assert {target["labels"]["job"]: target["targets"] for target in targets} == {
        "feature-store-api": [f"api:{port}"],
        "prometheus": ["localhost:9090"],
    }
