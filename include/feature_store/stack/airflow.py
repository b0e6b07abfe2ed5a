"""The four Airflow processes: their environment, their commands and the login of the user `admin`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from feature_store.errors import StackError
from feature_store.settings import ROOT
from feature_store.stack.secrets import write_private
from feature_store.stack.supervision import Program, inherited, tail

USER = "admin"
PROGRAMS = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
LOCAL_SETTINGS = Path(__file__).parent / "airflow_config"

# Their log servers would listen on every interface, and the API server reads the files itself.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "airflow-scheduler": ("--skip-serve-logs",),
    "airflow-triggerer": ("--skip-serve-logs",),
}

_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@dataclass(frozen=True)
class Airflow:
    """One Airflow: its state in `home/airflow`, its DAGs and plugins in the repository."""

    home: Path
    port: int
    metadata_dsn: str = field(repr=False)
    feature_store_dsn: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    dags: Path = ROOT / "dags"
    plugins: Path = ROOT / "plugins"

    @property
    def folder(self) -> Path:
        """AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def url(self) -> str:
        """The address of the UI and the REST API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def task_logs(self) -> Path:
        """The folder of the logs of tasks."""
        return self.folder / "logs"

    def environment(self) -> dict[str, str]:
        """What every Airflow process gets on top of the caller's environment."""
        return {**self._own(), **self._options(), **self.settings}

    def write_login(self) -> None:
        """Give the user `admin` the generated password."""
        write_private(self._passwords, json.dumps({USER: self.secrets["airflow_password"]}) + "\n")

    def migrate(self) -> None:
        """Make or upgrade Airflow's own tables."""
        log = self.home / "logs" / "airflow-migrate.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as sink:
            command = [*_airflow(), "db", "migrate"]
            environment = {**inherited(), **self.environment()}
            code = subprocess.run(
                command, env=environment, cwd=self.folder, stdout=sink, stderr=sink, check=False
            ).returncode
        if code != 0:
            raise StackError(f"`airflow db migrate` failed with exit code {code}:\n{tail(log)}")

    def programs(self) -> list[Program]:
        """The processes for the supervisor."""
        return [
            Program(
                name,
                [*_airflow(), name.removeprefix("airflow-"), *_ARGUMENTS.get(name, ())],
                self.folder,
                self.environment(),
                priority=40,
            )
            for name in PROGRAMS
        ]

    @property
    def _passwords(self) -> Path:
        return self.folder / "passwords.json"

    def _own(self) -> dict[str, str]:
        loopback = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1", "localhost"]))
        search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_CONN_FEATURE_STORE": self.feature_store_dsn,
            "PATH": search_path,
            "PYTHONPATH": str(LOCAL_SETTINGS),
            "PYTHONUNBUFFERED": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            # Airflow renames its processes; this keeps their environment readable, by which we know our own.
            "SPT_NOENV": "1",
            "DO_NOT_TRACK": "1",
            "SCARF_ANALYTICS": "false",
            "GX_ANALYTICS_ENABLED": "false",
            # Named here, a changed one restarts the processes.
            **{name: value for name, value in os.environ.items() if name.startswith("OTEL_")},
        }

    def _options(self) -> dict[str, str]:
        options = {
            "core": {
                "dags_folder": str(self.dags),
                "plugins_folder": str(self.plugins),
                "executor": "LocalExecutor",
                "parallelism": "6",
                "max_active_tasks_per_dag": "6",
                "load_examples": "False",
                "default_timezone": "utc",
                "dagbag_import_timeout": "60",
                "fernet_key": self.secrets["fernet_key"],
                "execution_api_server_url": f"{self.url}/execution/",
                "auth_manager": _AUTH_MANAGER,
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": str(self._passwords),
            },
            "database": {"sql_alchemy_conn": self.metadata_dsn.replace("postgresql:", "postgresql+psycopg2:", 1)},
            "api": {
                "host": "127.0.0.1",
                "port": str(self.port),
                "base_url": self.url,
                "workers": "1",
                "secret_key": self.secrets["jwt_secret"],
            },
            "api_auth": {"jwt_secret": self.secrets["jwt_secret"]},
            "logging": {
                "base_log_folder": str(self.task_logs),
                "logging_level": "INFO",
                "colored_console_log": "False",
            },
            "metrics": {
                # Who names an endpoint wants them there.
                "otel_on": str(any(os.environ.get(name) for name in _OTLP_ENDPOINTS)),
                # Those have the DAG in their name, beside others that have it in a label.
                "legacy_names_on": "False",
                # Forked processes send what their parent counted of this too, as if they were it.
                "metrics_block_list": "serde",
            },
            "scheduler": {
                "scheduler_idle_sleep_time": "0.1",
                "enable_health_check": "False",
                # A killed task holds its place in a pool until its heartbeat counts as lost.
                "task_instance_heartbeat_timeout": "60",
                "orphaned_tasks_check_interval": "30",
            },
            "dag_processor": {
                "dag_bundle_storage_path": str(self.folder / "bundles"),
                "refresh_interval": "15",
                "min_file_process_interval": "60",
                "print_stats_interval": "300",
                "parsing_processes": "2",
            },
            "usage_data_collection": {"enabled": "False"},
        }
        return {
            f"AIRFLOW__{section}__{name}".upper(): value
            for section, pairs in options.items()
            for name, value in pairs.items()
        }


def _airflow() -> list[str]:
    return [sys.executable, "-m", "airflow"]
