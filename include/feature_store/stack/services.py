"""The stack of one state directory: its services, made from the settings."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

import httpx
from pydantic import SecretStr

from feature_store.errors import StackError
from feature_store.settings import Settings, load_settings
from feature_store.stack import api
from feature_store.stack.airflow import USER, Airflow
from feature_store.stack.airflow_client import AirflowClient
from feature_store.stack.postgres import Postgres
from feature_store.stack.s3 import S3
from feature_store.stack.secrets import ensure_secrets, write_private
from feature_store.stack.supervision import Program, Supervisor, run_folder
from feature_store.warehouse.dbt import dbt_environment

METADATA = "airflow"
PACKAGE = Path(__file__).parents[1]

# Which setting moves which service elsewhere.
PORTS = {
    "port_postgres": ("FEATURE_STORE_PORT_POSTGRES", "PostgreSQL"),
    "port_s3": ("FEATURE_STORE_PORT_S3", "the S3 server"),
    "port_replay": ("FEATURE_STORE_PORT_REPLAY", "the replay server"),
    "port_airflow": ("FEATURE_STORE_PORT_AIRFLOW", "Airflow"),
    "port_api": ("FEATURE_STORE_PORT_API", "the REST API"),
}


@dataclass(frozen=True)
class Stack:
    """All local services of one state directory; making it starts nothing."""

    settings: Settings
    secrets: dict[str, str] = field(repr=False)

    @property
    def home(self) -> Path:
        """The state directory."""
        return self.settings.home.resolve()

    @property
    def logs(self) -> Path:
        """The folder of every service's log."""
        return self.home / "logs"

    @cached_property
    def supervisor(self) -> Supervisor:
        """What keeps the services running."""
        return Supervisor(self.home)

    @cached_property
    def postgres(self) -> Postgres:
        """The database server."""
        return Postgres(self.home, self.settings.port_postgres, self.secrets["postgres_password"])

    @cached_property
    def s3(self) -> S3:
        """The object store."""
        names = ("s3_access_key", "s3_secret_key", "s3_sse_key", "s3_internal_key")
        return S3(self.home, self.settings.port_s3, *(self.secrets[name] for name in names))

    @cached_property
    def airflow(self) -> Airflow:
        """The scheduler and its company."""
        password = self.secrets["airflow_postgres_password"]
        return Airflow(
            home=self.home,
            port=self.settings.port_airflow,
            metadata_dsn=f"postgresql://{METADATA}:{password}@127.0.0.1:{self.settings.port_postgres}/{METADATA}",
            feature_store_dsn=self.settings.postgres_dsn,
            secrets=self.secrets,
            settings={**dbt_environment(self.settings), **self.exported_settings()},
            dags=self.settings.dags_dir.resolve(),
        )

    @cached_property
    def airflow_client(self) -> AirflowClient:
        """Speaks to Airflow as `admin`."""
        return AirflowClient(self.airflow.url, USER, self.secrets["airflow_password"])

    @property
    def serves_replay(self) -> bool:
        """Whether a replay server of our own belongs to the stack."""
        return self.settings.upstream == "replay" and self.settings.replay_base_url is None

    def programs(self) -> list[Program]:
        """Every service for the supervisor, in the order in which they start."""
        programs = [
            Program(
                "postgres",
                self.postgres.command(),
                self.home,
                # The port stands in its configuration file; here it makes a changed port restart the server.
                {"TZ": "UTC", "LC_ALL": "C", "PGPORT": str(self.settings.port_postgres)},
                priority=10,
                stop_signal="INT",
                stop_as_group=False,
                stop_seconds=30,
            ),
            Program("s3", self.s3.command(run_folder(self.home)), self.home, self.s3.environment(), priority=20),
        ]
        if self.serves_replay:
            command = [sys.executable, "-m", "feature_store.replay"]
            environment = {**self.exported_settings(), "PYTHONUNBUFFERED": "1", "TZ": "UTC"}
            programs.append(Program("replay", command, self.home, environment, priority=30))
        api_program = api.program(self.settings, self.home, self.exported_settings())
        return [*programs, api_program, *self.airflow.programs()]

    def replay_is_ready(self) -> bool:
        """Whether the replay server answers now."""
        try:
            return httpx.get(f"{self.settings.replay_url}/_health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def exported_settings(self) -> dict[str, str]:
        """The settings as environment variables, so that every service sees what `make up` saw."""
        exported = {}
        for name, info in Settings.model_fields.items():
            if name in self.settings.model_fields_set or name == "home" or name in PORTS:
                value = getattr(self.settings, name)
                if isinstance(value, SecretStr):
                    value = value.get_secret_value()
                if value is not None and info.alias is not None:
                    exported[info.alias] = str(value.resolve() if isinstance(value, Path) else value)
        return {**exported, "FEATURE_STORE_CODE": _code()}

    def record_ports(self) -> None:
        """Note the ports in use in `stack.env`, from which later commands take them."""
        lines = ["# Written by `make up`: the ports of the stack whose state is in this directory."]
        lines += [f"{setting}={getattr(self.settings, name)}" for name, (setting, _) in PORTS.items()]
        write_private(self.home / "stack.env", "\n".join(lines) + "\n")


def open_stack() -> Stack:
    """The stack that the settings describe; makes its state directory and passwords when they are missing."""
    settings = load_settings()
    home = settings.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    # Services have working directories of their own, so the path they are given must be absolute.
    return Stack(settings.model_copy(update={"home": home}), ensure_secrets(home))


@contextlib.contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Only one command at a time starts or stops a stack."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stack.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise StackError(
                f"process {handle.read().strip() or 'unknown'} starts or stops the stack in {home}: wait for its end"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


@cache
def _code() -> str:
    """Which code this is: in a service's environment it makes `make up` restart the service after an upgrade."""
    digest = sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".sql"}):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
