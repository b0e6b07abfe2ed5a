"""dbt in this process: the project parsed once, its models run, a failure told in the database's own words.

dbt is imported in functions: it takes seconds. Airflow's scheduler does so before it forks its tasks.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from feature_store.errors import WarehouseError
from feature_store.settings import Settings
from feature_store.warehouse.connection import connect
from feature_store.warehouse.dbt import PROJECT, dbt_environment, target_folder

if TYPE_CHECKING:
    from dbt.artifacts.schemas.results import NodeResult
    from dbt.contracts.graph.manifest import Manifest

log = logging.getLogger(__name__)

_FAILED = ("error", "fail", "runtime error")
_EXAMPLES = 3
_QUICK = ("--quiet", "--no-write-json")
"""Nobody reads here what dbt prints and the files it writes; its log file holds all."""

_parsed: dict[tuple[str, str], "Manifest"] = {}


def fingerprint() -> str:
    """Which dbt project this is: changes with every file of it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in PROJECT.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def project(settings: Settings) -> "Manifest":
    """The parsed project: read once in a process, and again when a file of it changed.

    Raises WarehouseError with dbt's message when it cannot be parsed.
    """
    environment = dbt_environment(settings)
    key = (fingerprint(), environment["FEATURE_STORE_PGDATABASE"])  # dbt writes the database's name into it
    if key not in _parsed:
        _parsed.clear()
        _parsed[key] = _parse(settings, environment)
    return _parsed[key]


def run_dbt(settings: Settings, command: str, *arguments: str) -> "Sequence[NodeResult]":
    """Run a dbt command with arguments and return what became of each model and test.

    Raises WarehouseError naming every model and test that failed, with the database's message or the failing rows.
    """
    from dbt.cli.main import dbtRunner

    manifest = project(settings)
    with _environment(dbt_environment(settings)):
        outcome = dbtRunner(manifest=manifest).invoke([command, *_QUICK, *arguments])
    results: Sequence[NodeResult] = getattr(outcome.result, "results", [])
    for result in results:
        said = str(result.message or result.status).splitlines()[0]
        log.info("%s %s: %s, %.2f s", result.node.resource_type, result.node.name, said, result.execution_time)
    failed = [_failure(settings, result) for result in results if result.status in _FAILED]
    if failed or not outcome.success:
        what = "\n".join(failed) or str(outcome.exception)
        raise WarehouseError(f"dbt {command} failed, and nothing of it is published:\n{what}")
    return results


def _parse(settings: Settings, environment: Mapping[str, str]) -> "Manifest":
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    folder = target_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    # dbt keeps what it parsed in a file there, and writes it in place.
    with (folder / "parsing.lock").open("w") as lock, _environment(environment):
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = dbtRunner().invoke(["parse", "--quiet"])
    if not isinstance(outcome.result, Manifest):
        raise WarehouseError(f"the dbt project in {PROJECT} cannot be parsed: {outcome.exception}")
    return outcome.result


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The process' environment with the variables that dbt reads, the password among them, for as long as it runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _failure(settings: Settings, result: "NodeResult") -> str:
    said = f"{result.node.resource_type} {result.node.name}: {result.message or result.status}"
    if result.status != "fail":
        return said
    return f"{said}; {_failing_rows(settings, getattr(result.node, 'compiled_code', None))}"


def _failing_rows(settings: Settings, query: str | None) -> str:
    """What a test found, for its message."""
    try:
        with connect(settings.postgres_dsn) as conn:
            rows: list[Any] = conn.execute(str(query).encode()).fetchmany(_EXAMPLES)
    except psycopg.Error as error:
        return f"its rows cannot be shown: {error}"
    return "found " + "; ".join(", ".join(map(str, row)) for row in rows)
