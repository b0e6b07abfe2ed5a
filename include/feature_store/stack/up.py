"""`make up`: from nothing, or from whatever runs already, to a running stack with features in it."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psycopg

from feature_store import clock
from feature_store.archive import set_up
from feature_store.catalog import load_catalog
from feature_store.catalog.sync import sync
from feature_store.errors import StackError
from feature_store.pipeline.walk import is_new, walk_snapshots
from feature_store.quality.reconciliation import reconcile
from feature_store.quality.vendored import ensure_assets
from feature_store.replay.generate import SOURCES, generate
from feature_store.stack import api
from feature_store.stack.airflow import PROGRAMS
from feature_store.stack.airflow_client import Run
from feature_store.stack.ports import is_free, require_free
from feature_store.stack.processes import listener, stack_processes
from feature_store.stack.services import METADATA, PORTS, Stack
from feature_store.stack.steps import Note, Step
from feature_store.stack.supervision import inherited, tail
from feature_store.warehouse.dbt import PROJECT, dbt_environment, docs_page, parsed_project
from feature_store.warehouse.migrate import migrate

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
DISK_NEEDED = 2 * 1024**3

_REPLAY_FRESH = timedelta(days=20)  # the generated series reach further than this beyond the day they were made

_FOLLOWERS = ("transform_features",)
_PARSE_SECONDS = 120
_FOLLOW_SECONDS = 30  # an asset event that nobody took up by then waits for others and starts nothing now


def up_steps(stack: Stack) -> list[Step]:
    """The steps of `make up` for this stack."""
    logs = stack.logs
    start = _Start(stack)
    steps = [
        Step("preflight", "Look at machine and ports", start.preflight, advice="follow the message above"),
        Step("supervisor", "Start the supervisor", start.supervisor, ("preflight",), logs / "supervisord.log"),
        Step("postgres", "Start PostgreSQL", start.postgres, ("supervisor",), logs / "postgres.log"),
        Step("s3", "Start the S3 server", start.s3, ("supervisor",), logs / "s3.log"),
        Step("bucket", "Set up the bucket", start.bucket, ("s3",), logs / "s3.log"),
        Step("migrate", "Migrate the database", start.migrate, ("postgres",)),
        Step("logins", "Have the API's logins to the database", start.logins, ("migrate",)),
        Step("catalog", "Synchronise the catalog", start.catalog, ("migrate",)),
        Step("key", "Have a key to the API", start.key, ("migrate",)),
        Step("api", "Start the REST API", start.api, ("logins", "catalog"), logs / "api.log"),
        Step(
            "airflow-db",
            "Migrate Airflow's database",
            start.airflow_db,
            ("postgres",),
            logs / "airflow-migrate.log",
        ),
        Step("assets", "Fetch the styles of Data Docs", start.assets, ("preflight",)),
        Step("dbt", "Parse the dbt project", start.dbt, ("preflight",), logs / "dbt-parse.log"),
        Step("airflow", "Start Airflow", start.airflow, ("airflow-db", "dbt"), logs / "airflow-api-server.log"),
        Step("dags", "Parse the DAGs", start.dags, ("airflow", "catalog"), logs / "airflow-dag-processor.log"),
    ]
    before_ingest: tuple[str, ...] = ("dags", "bucket")
    if stack.serves_replay:
        steps += [
            Step("replay-data", "Make the replay's series", start.replay_data, ("migrate",)),
            Step("replay", "Start the replay server", start.replay, ("replay-data", "logins"), logs / "replay.log"),
            Step("walk", "Live through the last day", start.walk, ("replay", "catalog"), logs / "replay.log"),
        ]
        before_ingest = (*before_ingest, "walk")
    task_logs = stack.airflow.task_logs
    return [
        *steps,
        Step("ingest", "Load the histories", start.ingest, before_ingest, task_logs),
        Step("transform", "Run what follows from them", start.follow, ("ingest",), task_logs),
        Step("reconcile", "Compare sources of one quantity", start.reconcile, ("transform",)),
        Step("docs", "Write dbt's docs", start.docs, ("transform",), logs / "dbt-docs.log"),
    ]


class _Start:
    """The actions of the steps; each looks first at what is there already."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._main_jobs = [f"ingest_{source.slug}" for source in load_catalog().connected_sources]
        self._main_runs: list[Run] = []
        self._parsed_since = datetime.now(UTC)

    def preflight(self, note: Note) -> str:
        """Refuse a machine, or ports, with which nothing can work."""
        if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
            raise StackError(f"Python {sys.version.split()[0]} will not do: 3.11, 3.12 or 3.13 is needed")
        free = shutil.disk_usage(self._stack.home).free
        if free < DISK_NEEDED:
            raise StackError(
                f"only {free / 1024**2:.0f} MB are free at {self._stack.home}, and 2 GB are needed: "
                "make room, or set FEATURE_STORE_HOME to a folder on another disk"
            )
        check_ports(self._stack)
        return f"Python {sys.version.split()[0]}, {free / 1024**3:.0f} GB free, ports free or ours"

    def supervisor(self, note: Note) -> str:
        """Have a supervisord that knows our programs."""
        stack = self._stack
        was_running = stack.supervisor.pid is not None
        if not was_running:
            stack.s3.choose_new_ports()
        stack.airflow.write_login()
        stack.supervisor.ensure(stack.programs())
        stack.record_ports()
        return f"{'already running' if was_running else 'started'}, process {stack.supervisor.pid}"

    def postgres(self, note: Note) -> str:
        """Start the database server and have both databases."""
        stack = self._stack
        if stack.supervisor.state("postgres") != "RUNNING":
            stack.postgres.init()
        said = self._start("postgres", stack.postgres.is_ready, 60)
        stack.postgres.create_database()
        stack.postgres.create_role(METADATA, stack.secrets["airflow_postgres_password"])
        stack.postgres.create_database(METADATA, owner=METADATA)
        return f"{said} on port {stack.settings.port_postgres}"

    def s3(self, note: Note) -> str:
        """Start the S3 server."""
        stack = self._stack
        said = self._start("s3", stack.s3.is_ready, 60)
        return f"{said} on port {stack.settings.port_s3}"

    def bucket(self, note: Note) -> str:
        """Have the bucket with its versioning, encryption and lifecycle."""
        done = set_up(self._stack.settings)
        said = ", ".join(done.changes) or "nothing to change"
        return "\n".join([f"{self._stack.settings.export_s3_uri}: {said}", *done.refused])

    def migrate(self, note: Note) -> str:
        """Bring the tables up to date."""
        applied = migrate(self._stack.settings.postgres_dsn)
        return f"{len(applied)} migrations applied" if applied else "nothing to apply"

    def catalog(self, note: Note) -> str:
        """Bring the database's copy of the catalog up to date."""
        catalog = load_catalog()
        with psycopg.connect(self._stack.settings.postgres_dsn) as connection:
            sync(connection, catalog)
        return "in the database"

    def logins(self, note: Note) -> str:
        """Have the users of the database that may do less than its owner."""
        return api.ensure_logins(self._stack.settings)

    def key(self, note: Note) -> str:
        """Have a key of the stack's own."""
        return api.ensure_key(self._stack.settings, self._stack.secrets)

    def api(self, note: Note) -> str:
        """Start the REST API."""
        said = self._start("api", partial(api.is_ready, self._stack.settings), 90)
        return f"{said} on port {self._stack.settings.port_api}"

    def replay_data(self, note: Note) -> str:
        """Generate the default series unless a folder was named."""
        stack = self._stack
        folder = stack.settings.replay_folder
        if stack.settings.replay_dir is not None:
            return f"{folder} was given"
        with psycopg.connect(stack.settings.postgres_dsn) as connection:
            now = clock.now(connection)
        stamp = folder / ".generated"
        has_every_source = all((folder / slug).is_dir() for slug in SOURCES)
        if has_every_source and stamp.exists() and now < datetime.fromisoformat(stamp.read_text()) + _REPLAY_FRESH:
            return "there already"
        generate(folder, now)
        stamp.write_text(now.isoformat())
        return str(folder)

    def replay(self, note: Note) -> str:
        """Start the replay server."""
        said = self._start("replay", self._stack.replay_is_ready, 60)
        return f"{said} on port {self._stack.settings.port_replay}"

    def airflow_db(self, note: Note) -> str:
        """Have Airflow's tables; its own command takes seconds even when there is nothing to do."""
        stack = self._stack
        stamp = stack.airflow.folder / "migrated"
        wanted = f"{version('apache-airflow')} {_revision(stack.airflow.metadata_dsn)}"
        if stamp.exists() and stamp.read_text() == wanted:
            return "nothing to migrate"
        stack.airflow.migrate()
        stamp.write_text(f"{version('apache-airflow')} {_revision(stack.airflow.metadata_dsn)}")
        return "migrated"

    def airflow(self, note: Note) -> str:
        """Start the four processes together and wait until each reports in."""
        supervisor = self._stack.supervisor
        started = [name for name in PROGRAMS if supervisor.start(name)]
        for name in PROGRAMS:
            supervisor.wait(name, partial(supervisor.is_running, name), 60)
        supervisor.wait("airflow-api-server", self._stack.airflow_client.answers, 150)
        self._stack.airflow_client.warm_up()
        supervisor.wait("airflow-api-server", self._stack.airflow_client.is_healthy, 150)
        said = f"{len(started)} processes started" if started else "already running"
        return f"{said} on port {self._stack.settings.port_airflow}"

    def dbt(self, note: Note) -> str:
        """Have the dbt project parsed, for the scheduler and its tasks to begin with."""
        parsed = parsed_project(self._stack.settings)
        newest = max(path.stat().st_mtime for path in PROJECT.rglob("*") if path.is_file())
        if parsed.exists() and parsed.stat().st_mtime > newest:
            return "there already"
        self._dbt("parse")
        return "project parsed"

    def assets(self, note: Note) -> str:
        """Have the styles and scripts of Data Docs here, so that they read offline."""
        folder = ensure_assets(self._stack.home)
        return str(folder) if folder else "not there: Data Docs will be plain; the log says why"

    def docs(self, note: Note) -> str:
        """Write dbt's docs as one page."""
        page, parsed = docs_page(self._stack.settings), parsed_project(self._stack.settings)
        if not page.exists() or page.stat().st_mtime < parsed.stat().st_mtime:
            self._dbt("docs", "generate", "--static")
        return str(page)

    def dags(self, note: Note) -> str:
        """Wait until every DAG file is parsed, and let the DAGs of the main job run."""
        client = self._stack.airflow_client
        for source in load_catalog().sources.values():
            client.create_pool(f"source_{source.slug}", 4, "How many tasks ask this source at once")
        client.create_pool("transform", 8, "How many tasks work in the warehouse at once")
        began = time.monotonic()
        files = {path.name for path in self._stack.airflow.dags.glob("*.py")}
        while missing := files - set(client.dags().values()):
            self._refuse_import_errors()
            if time.monotonic() - began > _PARSE_SECONDS:
                raise StackError(f"these DAG files gave no DAG: {', '.join(sorted(missing))}")
            time.sleep(0.5)
        if lacking := set(self._main_jobs) - client.dags().keys():
            raise StackError(f"no file in {self._stack.airflow.dags} holds the DAGs {', '.join(sorted(lacking))}")
        self._unpause({*self._main_jobs, *_FOLLOWERS})
        return f"{len(client.dags())} DAGs in {len(files)} files"

    def walk(self, note: Note) -> str:
        """Give a new store the last day of the streams that answer only for now."""
        with psycopg.connect(self._stack.settings.postgres_dsn, options="-c timezone=UTC") as connection:
            if not is_new(connection):
                return "points were ingested already: the clock does not go back"
            counts = walk_snapshots(
                connection,
                load_catalog(),
                self._stack.settings,
                lambda at, number, total: note(f"{at:%H:%M} UTC", number, total),
            )
        return str(counts)

    def ingest(self, note: Note) -> str:
        """Run the live tails through Airflow. A series that failed does not keep the others from arriving."""
        client = self._stack.airflow_client
        self._main_runs = [client.trigger(dag_id) for dag_id in self._main_jobs]
        ended = [self._wait(run, note, 600) for run in self._main_runs]
        failures = [self._failure(run) for run in ended if run.state != "success"]
        if failures and not self._has_arrived():
            raise StackError("\n".join(failures))
        return "\n".join([*failures, "The rest arrived."] if failures else ["all of them succeeded"])

    def _has_arrived(self) -> bool:
        with psycopg.connect(self._stack.settings.postgres_dsn) as connection:
            row = connection.execute(
                "select exists (select from raw.fetches where outcome = 'loaded' and run_id = any(%s))",
                ([run.run_id for run in self._main_runs],),
            ).fetchone()
        return row == (True,)

    def follow(self, note: Note) -> str:
        """Wait for the runs that the histories set off, and for those that follow from them."""
        client = self._stack.airflow_client
        frontier = list(self._main_runs)
        followed: list[Run] = []
        while frontier:
            producer = frontier.pop()
            deadline = time.monotonic() + _FOLLOW_SECONDS
            runs, waiting = client.triggered_by(producer)
            while waiting and time.monotonic() < deadline:
                time.sleep(0.25)
                runs, waiting = client.triggered_by(producer)
            for run in runs:
                if run.run_id not in {known.run_id for known in followed}:
                    followed.append(self._wait(run, note, 600))
                    if followed[-1].state == "failed":
                        raise StackError(self._failure(run))
                    frontier.append(run)
        # Only now: their first runs would compete with the main job.
        self._unpause(set(client.dags()))
        names = sorted({run.dag_id for run in followed})
        return f"{', '.join(names)} succeeded" if names else "nothing new, so nothing followed"

    def reconcile(self, note: Note) -> str:
        """Compare what two sources say of one quantity, as quality_checks does every hour."""
        with psycopg.connect(self._stack.settings.postgres_dsn, options="-c timezone=UTC") as connection:
            found = reconcile(connection, "up")
        return f"{found.compared} new comparisons, {found.disagreeing} disagree"

    def _dbt(self, *arguments: str) -> None:
        log = self._stack.logs / f"dbt-{arguments[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).parent / "dbt"), *arguments]
        environment = {**inherited(), **dbt_environment(self._stack.settings)}
        with log.open("wb") as sink:
            code = subprocess.run(command, env=environment, stdout=sink, stderr=sink, check=False).returncode
        if code != 0:
            raise StackError(f"`dbt {' '.join(arguments)}` failed with exit code {code}:\n{tail(log)}")

    def _start(self, name: str, is_ready: Callable[[], bool], seconds: float) -> str:
        started = self._stack.supervisor.start(name)
        self._stack.supervisor.wait(name, is_ready, seconds)
        return "started" if started else "already running"

    def _wait(self, run: Run, note: Note, seconds: float) -> Run:
        client = self._stack.airflow_client
        deadline = time.monotonic() + seconds
        while not (run := client.run(run.dag_id, run.run_id)).has_ended:
            note(f"{run.dag_id} {run.state}", *client.progress(run))
            if time.monotonic() > deadline:
                raise StackError(
                    f"{run.dag_id} is still {run.state} after {seconds:.0f} s; see {self._stack.airflow.url}"
                )
            time.sleep(0.3)
        return run

    def _failure(self, run: Run) -> str:
        failures = self._stack.airflow_client.failures(run, self._stack.airflow.task_logs)
        lines = [f"the run {run.run_id} of {run.dag_id} failed"]
        for failure in failures:
            lines.append(f"task {failure.task_id}: {failure.reason()}\n  its log: {failure.log}")
        return "\n".join(lines)

    def _refuse_import_errors(self) -> None:
        """An error noted before this `make up` may be repaired since; the next parsing decides."""
        errors = self._stack.airflow_client.import_errors()
        errors = [error for error in errors if error.at >= self._parsed_since]
        if errors:
            shown = "\n".join(f"{error.file}:\n{error.trace.strip()}" for error in errors)
            raise StackError(f"{len(errors)} DAG files cannot be imported:\n{shown}")

    def _unpause(self, dag_ids: set[str]) -> None:
        """New DAGs start paused. Each is let loose once: who pauses it later wants it paused."""
        known = self._stack.airflow.folder / "unpaused"
        done = set(known.read_text().split()) if known.exists() else set()
        for dag_id in sorted(dag_ids & set(self._stack.airflow_client.dags()) - done):
            self._stack.airflow_client.unpause(dag_id)
            done.add(dag_id)
        known.write_text("\n".join(sorted(done)) + "\n")


def check_ports(stack: Stack) -> None:
    """Refuse ports that another program holds, and one port for two services; ours may be held by us."""
    chosen: dict[int, str] = {}
    for name, (setting, _) in PORTS.items():
        port = getattr(stack.settings, name)
        if port in chosen:
            raise StackError(f"{chosen[port]} and {setting} are both {port}: give each service a port of its own")
        chosen[port] = setting
    ours = {process.pid for process in stack_processes(stack.home)}
    for name, (setting, service) in PORTS.items():
        port = getattr(stack.settings, name)
        holder = None if is_free(port) else listener(port)
        if holder is None or holder.pid not in ours:
            require_free(port, setting, service)


def _revision(dsn: str) -> str:
    """The version of Airflow's tables, empty before there are any."""
    with psycopg.connect(dsn) as connection:
        if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
            return ""
        row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else ""
