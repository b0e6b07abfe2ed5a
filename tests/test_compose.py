"""docker-compose.yaml and Dockerfile, judged without Docker: the same stack as `make up`, and what watches it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from feature_store.cli import app
from feature_store.settings import ROOT, Settings
from feature_store.stack.containers import begin_steps, prepare_steps
from feature_store.stack.postgres import TUNING, binaries
from feature_store.stack.services import PORTS, Stack
from feature_store.stack.up import up_steps

TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
AIRFLOW = {name: service for name, service in OURS.items() if name.startswith("airflow-")}
ONCE = {"setup", "begin"}
WATCHING = {"prometheus", "grafana"}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
BIN = Path(sys.executable).parent

# By the names of .env; SECRETS are the same by the names of `make up`.
VALUES = {name: f"<{name}>" for name in re.findall(r"\$\{(\w+):\?", TEXT)}
SECRETS = {
    **{name.lower(): value for name, value in VALUES.items()},
    "airflow_password": "<>",
    "jwt_secret": VALUES["AIRFLOW_JWT_SECRET"],
    "fernet_key": VALUES["AIRFLOW_FERNET_KEY"],
}

# What `make up` gives Airflow and containers give it otherwise, with the reason.
OTHERWISE = {
    "AIRFLOW__API__HOST": "its port is published on 127.0.0.1 by the container's host",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "the scheduler has a container of its own",
    "NO_PROXY": "services are hosts",
    "no_proxy": "services are hosts",
    "PATH": "the image's",
    "FEATURE_STORE_CODE": "a new image is a new container",
    "SPT_NOENV": "by it `make down` knows its processes",
    **{setting: "inside, each service has its own default" for setting, _ in PORTS.values()},
}

# Steps of `make up` that Compose takes itself.
BY_COMPOSE = {
    "preflight": "Compose knows what it needs",
    "supervisor": "Docker",
    "postgres": "a service",
    "s3": "a service",
    "replay-data": "the service replay",
    "replay": "a service",
    "api": "a service",
    "airflow-db": "`airflow db migrate`",
    "airflow": "four services",
}

# Settings that containers do not take from .env.
FIXED = {
    "FEATURE_STORE_HOME": "a volume",
    "FEATURE_STORE_CATALOG_DIR": "in the image",
    "FEATURE_STORE_DAGS_DIR": "in the image",
    "FEATURE_STORE_REPLAY_DIR": "a folder of the host must be mounted too: docs/docker.md",
    "FEATURE_STORE_READER_DSN": "of the services that have it, with its password",
    "FEATURE_STORE_PUBLISHER_DSN": "likewise",
    "FEATURE_API_HOST": "its port is published on 127.0.0.1 by the container's host",
}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack of `make up`, were its database a service, in a shell that names our Prometheus."""
    for name, value in COMPOSE["x-airflow"].items():
        if name.startswith("OTEL_"):
            monkeypatch.setenv(name, value)
    dsn = f"postgresql://feature_store:{VALUES['POSTGRES_PASSWORD']}@postgres:5432/feature_store"
    given = {"FEATURE_STORE_HOME": str(tmp_path), "FEATURE_STORE_POSTGRES_DSN": dsn}
    return Stack(Settings.model_validate(given), SECRETS)


def test_it_follows_the_schema_of_compose_files() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_service_of_make_up_is_there_and_what_watches_it(stack: Stack) -> None:
    assert {program.name for program in stack.programs()} == set(SERVICES) - ONCE - WATCHING


def test_every_step_of_make_up_is_taken_in_containers_too(stack: Stack) -> None:
    prepare, begin = prepare_steps(stack), begin_steps(stack)
    for steps in (prepare, begin):
        names = {step.name for step in steps}
        assert all(set(step.needs) <= names for step in steps)
    taken = {step.name for step in [*prepare, *begin]}
    assert {step.name for step in up_steps(stack)} - taken == set(BY_COMPOSE)


def test_images_are_pinned_and_of_the_versions_of_make_up() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"feature-store:{version}"}
    embedded = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    assert f"postgres:{embedded.split()[-1]}" == SERVICES["postgres"]["image"]
    for name in WATCHING:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{FEATURE_STORE_PORT_\w+:-\d+\}:\d+", port)
    assert SERVICES[name].get("network_mode", "service:airflow-api-server") != "host"


def test_published_ports_have_the_defaults_of_the_settings() -> None:
    defaults = {str(info.alias): info.default for info in Settings.model_fields.values()}
    published = [VARIABLE.search(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == len(PORTS) + len(WATCHING)
    for found in published:
        assert found is not None
        assert int(found["rest"]) == defaults[found["name"]]


def test_no_service_runs_as_root() -> None:
    assert SERVICES["postgres"]["user"] == "postgres"
    assert all("user" not in service and service["cap_drop"] == ["ALL"] for service in OURS.values())
    for name in WATCHING:
        assert SERVICES[name]["user"] not in {"root", "0"}
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == OURS["api"]["security_opt"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_a_service_tells_its_health_and_starts_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    if command[0] == "python":
        compile(command[2], name, "exec")
    elif name in WATCHING:
        assert command[:-1] == ["wget", "-q", "-O-"]
    else:
        assert (binaries() / command[0]).exists()


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how["condition"] == wanted, f"{name} → {other}"
    assert set(SERVICES["setup"]["depends_on"]) == {"postgres", "s3"}
    assert set(SERVICES["begin"]["depends_on"]) == {"replay", *AIRFLOW}


def test_every_volume_is_declared_and_every_folder_of_state_is_a_volume() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith("./")} == set(COMPOSE["volumes"])
    assert all("state:/state" in service["volumes"] for name, service in OURS.items() if name not in {"s3", "api"})


@pytest.mark.parametrize("name", sorted(WATCHING))
def test_what_comes_from_the_repository_is_there_and_stays_as_it_is(name: str) -> None:
    given = [volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
    assert given
    for source, _, how in given:
        assert (ROOT / source).exists()
        assert how == "ro"


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|_KEY$|_KEY_ID$|DSN$|CONN", name) and value is not None:
                assert re.search(r"\$\{\w+:\?[^}]+\}", value), f"{name} must come from a required variable"


def test_every_variable_is_documented_and_secrets_have_no_default() -> None:
    example = (ROOT / ".env.example").read_text()
    compose_only = set(re.findall(r"^# (\w+)=$", example.split("# --- Docker Compose alone")[1], re.MULTILINE))
    found = list(VARIABLE.finditer(TEXT))
    assert len(found) == TEXT.count("${")
    for match in found:
        assert re.search(rf"^(# )?{match['name']}=", example, re.MULTILINE), match["name"]
        assert match["kind"] == ("?" if match["name"] in compose_only else "-"), match.group()
        if match["kind"] == "?":
            assert match["rest"] == "set it in .env, docs/docker.md says how"
    assert {match["name"] for match in found if match["kind"] == "?"} == compose_only


def test_the_settings_reach_the_containers() -> None:
    """Named without a value, a variable is passed on from .env or the shell where it is set there."""
    published = {match["name"] for match in VARIABLE.finditer(TEXT)}
    for alias in {str(info.alias) for info in Settings.model_fields.values()} - set(FIXED) - published:
        assert alias in COMPOSE["x-settings"], f"{alias} never reaches a container"
    assert not set(FIXED) & set(COMPOSE["x-settings"])


@pytest.mark.parametrize("name", sorted(AIRFLOW))
def test_airflow_has_the_environment_of_make_up(stack: Stack, name: str) -> None:
    environment = {key: filled(value) for key, value in AIRFLOW[name]["environment"].items()}
    given = {**image_environment(), **environment}
    wanted = {
        key: value.replace(str(stack.home), "/state")
        .replace(str(ROOT), "/app")
        .replace("127.0.0.1:15432", "postgres:5432")
        for key, value in stack.airflow.environment().items()
    }
    assert {key for key in wanted if given.get(key) != wanted[key]} == set(OTHERWISE)
    assert {key for key in given if key.startswith(("AIRFLOW_", "DBT_"))} <= set(wanted)
    programs = {program.name: list(program.command[3:]) for program in stack.airflow.programs()}
    assert AIRFLOW[name]["command"] == ["airflow", *programs[name]]


def test_the_api_has_the_environment_of_make_up_and_no_login_of_an_owner(stack: Stack) -> None:
    (program,) = [program for program in stack.programs() if program.name == "api"]
    assert SERVICES["api"]["command"] == ["python", *program.command[1:]]
    given = {key: filled(value) for key, value in SERVICES["api"]["environment"].items()}
    logins = {key: value for key, value in given.items() if key.endswith("_DSN")}
    assert set(logins) == {key for key in program.environment if key.endswith("_DSN")}
    assert logins["FEATURE_STORE_POSTGRES_DSN"] == logins["FEATURE_STORE_READER_DSN"]
    assert VALUES["POSTGRES_PASSWORD"] not in str(given)
    users = {role: conninfo_to_dict(logins[f"FEATURE_STORE_{role}_DSN"])["user"] for role in ("READER", "PUBLISHER")}
    assert users == {"READER": "feature_store_api_reader", "PUBLISHER": "feature_store_api_publisher"}
    setup = SERVICES["setup"]["environment"]
    assert {filled(setup[f"FEATURE_STORE_{role}_DSN"]) for role in users} <= set(logins.values())


def test_airflow_sends_its_metrics_to_where_prometheus_takes_them() -> None:
    options = SERVICES["prometheus"]["command"]
    assert {"--web.enable-otlp-receiver", "--enable-feature=native-histograms"} <= set(options)
    (port,) = [port.rsplit(":", 1)[1] for port in SERVICES["prometheus"]["ports"]]
    for service in AIRFLOW.values():
        given = service["environment"]
        assert given["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] == f"http://prometheus:{port}/api/v1/otlp/v1/metrics"
        assert "prometheus" in given["NO_PROXY"].split(",")


def test_grafana_asks_nobody_outside_and_lets_nobody_in_without_a_password() -> None:
    given = SERVICES["grafana"]["environment"]
    refused = {
        *(f"GF_ANALYTICS_{name}" for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES")),
        *("GF_ANALYTICS_FEEDBACK_LINKS_ENABLED", "GF_NEWS_NEWS_FEED_ENABLED", "GF_SNAPSHOTS_EXTERNAL_ENABLED"),
        *("GF_AUTH_ANONYMOUS_ENABLED", "GF_USERS_ALLOW_SIGN_UP"),
    }
    assert {name for name, value in given.items() if value == "false"} == refused
    assert given["GF_PLUGINS_PREINSTALL_DISABLED"] == given["GF_SECURITY_DISABLE_GRAVATAR"] == "true"
    assert filled(given["GF_SECURITY_ADMIN_PASSWORD"]) == "<GRAFANA_ADMIN_PASSWORD>"


def test_s3_has_the_options_and_keys_of_make_up(stack: Stack, tmp_path: Path) -> None:
    ours, theirs = options(SERVICES["s3"]["command"]), options(stack.s3.command(tmp_path))
    # In a container of its own it may choose its inner ports and its sockets.
    assert {name for name in set(theirs) - set(ours) if not re.search(r"port|localSocket", name)} == set()
    assert {name for name in ours if ours[name] != theirs[name]} == {"dir", "admin.dataDir", "ip.bind"}
    assert set(SERVICES["s3"]["environment"]) == set(stack.s3.environment())


def test_postgres_is_tuned_as_by_make_up() -> None:
    given = dict(option.removeprefix("-c").split("=") for option in SERVICES["postgres"]["command"][1:])
    assert given == {**TUNING, "timezone": "UTC", "log_timezone": "UTC"}


def test_the_init_script_makes_airflows_database(server: str) -> None:
    password = 'it\'s a "pass:word"'
    script = COMPOSE["configs"]["airflow-database"]["content"]
    assert "$" not in script  # Compose would fill it in
    dsn = conninfo_to_dict(server)
    command = [str(binaries() / "psql"), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-q", make_conninfo(server)]
    env = {**os.environ, "AIRFLOW_POSTGRES_PASSWORD": password, "PGPASSWORD": str(dsn["password"])}
    try:
        subprocess.run(command, input=script, env=env, text=True, check=True, capture_output=True)
        with psycopg.connect(make_conninfo(server, user="airflow", password=password, dbname="airflow")) as conn:
            conn.execute("create table owned_by_airflow ()")
    finally:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute("drop database if exists airflow")
            conn.execute("drop role if exists airflow")


def test_every_command_exists(tmp_path: Path) -> None:
    calls = [call for service in OURS.values() for call in commands(service["command"])]
    assert {call[0] for call in calls} == {"airflow", "feature-store", "python", "weed"}
    for call in calls:
        if call[0] == "feature-store":
            assert_typer_knows(call[1:])
    known = subprocess.run([BIN / "weed", "mini", "-h"], capture_output=True, text=True, check=False)
    for name in set(options(SERVICES["s3"]["command"])):
        assert re.search(rf"^  -{re.escape(name)}\b", known.stdout + known.stderr, re.MULTILINE), name
    parse = (
        "import json, sys; from airflow.cli.cli_parser import get_parser\n"
        "for call in json.loads(sys.argv[1]): get_parser().parse_args(call)"
    )
    arguments = yaml.safe_dump(
        [call[1:] for call in calls if call[0] == "airflow"], default_flow_style=True, width=9999
    )
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", parse.replace("json.loads", "__import__('yaml').safe_load"), arguments],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_documented_commands_make_every_required_variable(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the documented commands use openssl")
    shutil.copy(ROOT / ".env.example", tmp_path)
    script = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "docker.md").read_text(), re.DOTALL)
    assert script is not None
    subprocess.run(["bash", "-euc", script[1]], cwd=tmp_path, check=True)
    made = dict(re.findall(r"^(\w+)=(.+)$", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert {match["name"] for match in VARIABLE.finditer(TEXT) if match["kind"] == "?"} <= set(made)
    from cryptography.fernet import Fernet

    Fernet(made["AIRFLOW_FERNET_KEY"])
    assert len(bytes.fromhex(made["S3_SSE_KEY"])) == 32
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def image_environment() -> dict[str, str]:
    (block,) = re.findall(r"^ENV (PATH=(?:.|\\\n)*?[^\\])$", dockerfile(), re.MULTILINE)
    return dict(pair.split("=", 1) for pair in shlex.split(block.replace("\\\n", " ")))


def filled(text: str | None) -> str:
    """A value as Compose would give it."""
    return VARIABLE.sub(lambda m: VALUES[m["name"]] if m["kind"] == "?" else m["rest"], text or "")


def options(command: list[str]) -> dict[str, str]:
    return dict(part[1:].split("=", 1) for part in command[command.index("mini") + 1 :])


def commands(command: list[str]) -> list[list[str]]:
    """The calls that a command makes, those of a shell line one by one."""
    if command[0] != "sh":
        return [command]
    return [shlex.split(call.strip().removeprefix("exec ")) for call in command[2].split("&&")]


def assert_typer_knows(call: list[str]) -> None:
    """Parse a call without carrying it out."""
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands"):
        name, *call = call
        assert name in found.commands, name
        found = found.commands[name]
    found.make_context(found.name, call)
