"""The steps of `make up` that bring the REST API, without Airflow: a stack of a database and the API alone."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from feature_store.serving.keys import list_keys, revoke_key
from feature_store.settings import Settings
from feature_store.stack.containers import only_steps
from feature_store.stack.ports import free_port
from feature_store.stack.processes import listening_sockets, stack_processes
from feature_store.stack.report import info, print_addresses
from feature_store.stack.secrets import ensure_secrets
from feature_store.stack.services import PORTS, Stack
from feature_store.stack.steps import PlainScreen, run_steps

STEPS = ("supervisor", "postgres", "migrate", "logins", "catalog", "key", "api")


@dataclass
class Served:
    settings: Settings
    printed: str = ""

    def up(self) -> None:
        """As `make up` does it, from whatever is there."""
        stack = Stack(self.settings, ensure_secrets(self.settings.home))
        said = io.StringIO()
        run_steps(only_steps(STEPS, stack), PlainScreen(Console(file=said, width=200)), stack.logs / "tracebacks.log")
        print_addresses(Console(file=said, width=200), info(stack))
        self.printed = said.getvalue()

    @property
    def handles(self) -> dict[str, str | None]:
        return info(Stack(self.settings, ensure_secrets(self.settings.home)))

    def status(self, path: str = "/v1/latest") -> int:
        headers = {"Authorization": f"Bearer {self.handles['api_key']}"}
        return httpx.get(f"{self.handles['api_url']}{path}", headers=headers, trust_env=False, timeout=None).status_code


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("api") / "var"
    home.mkdir()
    ports = {setting: free_port() for setting, _ in PORTS.values()}
    made = Served(Settings.model_validate({"FEATURE_STORE_HOME": home, **ports}))
    stack = Stack(made.settings, ensure_secrets(home))
    try:
        made.up()
        yield made
    finally:
        stack.supervisor.shutdown()
        assert stack_processes(home) == [], "nothing is left running"


def test_the_api_answers_with_the_key_that_is_printed(served: Served) -> None:
    key = served.handles["api_key"]
    assert key is not None
    assert f"curl -H 'Authorization: Bearer {key}' '{served.handles['api_url']}/v1/latest'" in served.printed
    assert served.status() == 200
    answer = httpx.get(f"{served.handles['api_url']}/v1/latest", trust_env=False, timeout=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_it_listens_on_this_machine_alone(served: Served) -> None:
    sockets = listening_sockets(served.settings.home)
    assert served.settings.port_api in {socket.port for socket in sockets}
    assert all(socket.is_loopback for socket in sockets)


def test_it_has_no_login_of_the_owner_and_its_sessions_are_those_of_its_roles(served: Served) -> None:
    owner = conninfo_to_dict(served.settings.postgres_dsn)
    (process, *_) = [p for p in stack_processes(served.settings.home) if "feature_store.serving.api" in cmdline(p)]
    assert str(owner["password"]) not in str(process.environ())
    with psycopg.connect(served.settings.postgres_dsn) as conn:
        rows = conn.execute("""select distinct usename from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()""").fetchall()
    assert {user for (user,) in rows} == {"feature_store_api_reader", "feature_store_api_publisher"}


def test_the_key_is_in_no_log_and_no_process_list(served: Served) -> None:
    key = str(served.handles["api_key"])
    served.status()
    served.status("/v1/query")
    assert [p for p in stack_processes(served.settings.home) if key in cmdline(p)] == []
    logs = [path for path in served.settings.home.rglob("*.log") if key in path.read_text(errors="replace")]
    assert logs == []
    assert json.loads((served.settings.home / "secrets.json").read_text())["api_key"] == key


def test_up_again_keeps_the_key_and_makes_another_when_it_was_revoked(served: Served) -> None:
    before = served.handles["api_key"]
    served.up()
    assert served.handles["api_key"] == before
    with psycopg.connect(served.settings.postgres_dsn) as conn:
        (key,) = list_keys(conn)
        assert (key.scopes, key.rate_limit_rpm, key.expires_at) == (["read", "publish", "admin"], None, None)
        revoke_key(conn, key.key_id)
    served.up()
    assert served.handles["api_key"] != before
    assert served.status() == 200


def cmdline(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""
