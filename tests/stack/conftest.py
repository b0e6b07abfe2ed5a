import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from feature_store.replay.generate import generate
from feature_store.stack.ports import free_port
from feature_store.stack.processes import stack_processes
from feature_store.stack.services import PORTS
from tests.monitoring.programs import program

from .prometheus import Prometheus, prometheus_server
from .running import Running


@pytest.fixture(scope="package")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus | None]:
    """What the stack's metrics go to, from its first moment; None where the program is not installed."""
    binary = program("prometheus")
    if binary is None:
        yield None
    else:
        with prometheus_server(binary, tmp_path_factory.mktemp("prometheus")) as server:
            yield server


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus | None) -> Iterator[Running]:
    """A stack that was started once, with no key and no variable but its place, its ports and where its metrics go;
    then its clock stops.

    Its histories are shorter than those a new user gets: there is a file to export for each feature and day.
    """
    home = tmp_path_factory.mktemp("stack") / "var"
    env = {name: value for name, value in os.environ.items() if not name.startswith("FEATURE_STORE_")}
    env |= {"FEATURE_STORE_HOME": str(home), **{setting: str(free_port()) for setting, _ in PORTS.values()}}
    if prometheus is not None:
        env |= prometheus.otlp
        prometheus.watch(env["FEATURE_STORE_PORT_API"])
    now = datetime.now(UTC)
    generate(home / "replay", now, back=now - datetime(2025, 6, 1, tzinfo=UTC))
    running = Running(home, env, "")
    try:
        running.printed = running.call("stack", "up")
        running.freeze()
        yield running
    finally:
        running.call("stack", "clean")
        assert stack_processes(home) == [], "nothing is left running"
