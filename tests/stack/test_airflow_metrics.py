"""Whether Airflow's processes send metrics: as the caller's shell says."""

import os
from pathlib import Path

import pytest

from feature_store.settings import Settings
from feature_store.stack.secrets import ensure_secrets
from feature_store.stack.services import Stack

ENDPOINT = "http://127.0.0.1:9090/api/v1/otlp/v1/metrics"


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that says nothing of OpenTelemetry."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def environment(home: Path) -> dict[str, str]:
    stack = Stack(Settings.model_validate({"FEATURE_STORE_HOME": home}), ensure_secrets(home))
    return stack.airflow.environment()


def test_without_an_endpoint_nothing_is_sent(tmp_path: Path) -> None:
    assert environment(tmp_path)["AIRFLOW__METRICS__OTEL_ON"] == "False"


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_an_endpoint_in_the_shell_turns_metrics_on_and_reaches_airflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, ENDPOINT)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "15000")
    given = environment(tmp_path)
    assert given["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert (given[name], given["OTEL_METRIC_EXPORT_INTERVAL"]) == (ENDPOINT, "15000")
