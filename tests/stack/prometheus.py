"""A real Prometheus with the configuration of the repository."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from feature_store.stack.ports import free_port
from feature_store.stack.supervision import tail
from tests.monitoring.programs import CONFIG

from .otlp import PATH, otlp_receiver
from .running import wait_for


@dataclass
class Prometheus:
    """A running server: what it is told to watch, and what there is to ask of it."""

    folder: Path
    port: int
    otlp_endpoint: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def otlp(self) -> dict[str, str]:
        """With these in their environment, Airflow's processes send it their metrics."""
        return {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": self.otlp_endpoint,
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "2",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }

    def watch(self, port: str) -> None:
        """Have it scrape the API at this port, in the place of where docker-compose.yaml has it, and itself."""
        targets = self.folder / "targets.yml"
        held = yaml.safe_load((CONFIG / targets.name).read_text())
        own = {"feature-store-api": f"127.0.0.1:{port}", "prometheus": f"127.0.0.1:{self.port}"}
        moved = [{**target, "targets": [own[target["labels"]["job"]]]} for target in held]
        written = targets.with_suffix(".new")
        written.write_text(yaml.safe_dump(moved))
        written.rename(targets)

    def ask(self, path: str, **parameters: str) -> Any:
        """What its HTTP API answers."""
        answer = httpx.post(f"{self.url}/api/v1/{path}", data=parameters, trust_env=False, timeout=None)
        assert answer.is_success, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What an instant query finds: a list of labels and values."""
        found: list[dict[str, Any]] = self.ask("query", query=expr)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Its rules with their state."""
        answer = httpx.get(f"{self.url}/api/v1/rules", trust_env=False, timeout=None).raise_for_status()
        return [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]


@contextmanager
def prometheus_server(binary: str, folder: Path) -> Iterator[Prometheus]:
    """A server for as long as the block lasts."""
    shutil.copytree(CONFIG, folder, dirs_exist_ok=True)
    server = Prometheus(folder, free_port())
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{server.port}",
        "--web.enable-remote-write-receiver",
        *_otlp_options(binary),
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            wait_for(lambda: _is_ready(server, process, log), 60)
            with _taking_otlp(server) as server.otlp_endpoint:
                yield server
        finally:
            process.terminate()


def _otlp_options(binary: str) -> list[str]:
    """What turns its OTLP receiver on; Debian's build has none."""
    said = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True)
    if "--web.enable-otlp-receiver" in said.stdout + said.stderr:
        return ["--web.enable-otlp-receiver", "--enable-feature=native-histograms"]
    return ["--enable-feature=otlp-write-receiver,native-histograms"]


@contextmanager
def _taking_otlp(server: Prometheus) -> Iterator[str]:
    own = server.url + PATH
    if httpx.post(own, trust_env=False, timeout=None).status_code == httpx.codes.NOT_FOUND:
        with otlp_receiver(server.url) as address:
            yield address
    else:
        yield own


def _is_ready(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, tail(log)
    try:
        return httpx.get(f"{server.url}/-/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False
