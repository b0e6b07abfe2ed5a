"""The supervisor of the local services: supervisord in the background, spoken to over a unix socket."""

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]

from feature_store.errors import StackError
from feature_store.stack.processes import MARKER, stack_processes, stop_processes
from feature_store.stack.secrets import write_private

_SOCKET_LIMIT = 90  # a unix socket's path must stay below 104 bytes, and supervisord appends to it for a moment
_GONE = {"FATAL", "STOPPED", "UNKNOWN"}  # not EXITED: what ended after its first seconds is started again


@dataclass(frozen=True)
class Program:
    """One service: its command, what only it gets in its environment, and how it likes to be stopped."""

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    priority: int = 50
    stop_signal: str = "TERM"
    stop_as_group: bool = True
    stop_seconds: int = 15


def run_folder(home: Path) -> Path:
    """Where sockets lie: in the state directory, or, when its path is too long for one, below /tmp."""
    inside = home / "run"
    if len(os.fsencode(inside)) <= _SOCKET_LIMIT:
        folder = inside
    else:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"feature-store-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise StackError(f"{folder} belongs to another user: remove it, or set FEATURE_STORE_HOME to a shorter path")
    folder.chmod(0o700)
    return folder


def inherited() -> dict[str, str]:
    """What services inherit from the caller's shell: no settings of another Airflow, no ban on bytecode.

    Without bytecode each process compiles some ten thousand modules again.
    """
    banned = ("AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(banned)}


class Supervisor:
    """The supervisord of one state directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "supervisor.conf"
        self.logs = home / "logs"
        self._run = run_folder(home)
        self._socket = self._run / "supervisor.sock"

    def log(self, name: str) -> Path:
        """Where a service writes what it has to say."""
        return self.logs / f"{name}.log"

    @property
    def pid(self) -> int | None:
        """The process id of the running supervisord."""
        try:
            return int(self._rpc().getPID())
        except (OSError, Fault):
            return None

    def ensure(self, programs: Sequence[Program]) -> None:
        """Have a supervisord that knows exactly these programs; only what changed is stopped."""
        for folder in {self.logs, *(program.directory for program in programs)}:
            folder.mkdir(parents=True, exist_ok=True)
        write_private(self.config, self._render(programs))
        if self.pid is None:
            self._clear_leftovers()
            self._launch()
        else:
            self._reload()
            self._stop_orphans()

    def state(self, name: str) -> str:
        """supervisord's word for how a service is: RUNNING, STARTING, BACKOFF, EXITED, FATAL, STOPPED, ..."""
        try:
            return str(self._rpc().getProcessInfo(name)["statename"])
        except (OSError, Fault):
            return "STOPPED"

    def is_running(self, name: str) -> bool:
        """Whether a service has stayed up for its first seconds."""
        return self.state(name) == "RUNNING"

    def states(self) -> dict[str, str]:
        """The state of every service; empty when nothing runs."""
        try:
            return {info["name"]: info["statename"] for info in self._rpc().getAllProcessInfo()}
        except (OSError, Fault):
            return {}

    def start(self, name: str) -> bool:
        """Start a service unless it runs; says whether it had to."""
        try:
            self._rpc().startProcess(name, False)
        except Fault as fault:
            if fault.faultCode == Faults.ALREADY_STARTED:
                return False
            raise StackError(f"{name} cannot be started: {fault.faultString}. Its log is {self.log(name)}") from None
        return True

    def stop(self, name: str) -> None:
        """Stop a service and wait for its end."""
        with contextlib.suppress(Fault, OSError):
            self._rpc().stopProcess(name, True)

    def wait(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until a started service answers; a service that gave up ends the wait at once."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            state = self.state(name)
            if state in _GONE:
                raise StackError(f"{name} ended ({state.lower()}) instead of answering:\n{tail(self.log(name))}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} did not answer within {seconds:.0f} s:\n{tail(self.log(name))}")
            time.sleep(0.1)

    def shutdown(self) -> None:
        """Stop every service, the last started first, then supervisord, then whatever of ours remains."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(Fault, OSError):
                self._rpc().shutdown()
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).wait(timeout=90)
        self._clear_leftovers()

    def _rpc(self) -> Any:
        # A transport per call: one connection cannot be shared by the threads that start services.
        transport = SupervisorTransport("", "", f"unix://{self._socket}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _launch(self) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        environment = {**inherited(), MARKER: str(self.home)}
        output = self.logs / "supervisord.start.log"
        with output.open("wb") as sink:
            code = subprocess.run(command, env=environment, stdout=sink, stderr=sink, check=False).returncode
        deadline = time.monotonic() + 10
        while code == 0 and self.pid is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.pid is None:
            raise StackError(f"supervisord did not start:\n{tail(output)}\n{tail(self.logs / 'supervisord.log')}")

    def _reload(self) -> None:
        added, changed, removed = self._rpc().reloadConfig()[0]
        for group in [*changed, *removed]:
            self._rpc().stopProcessGroup(group, False)  # all at once, then wait for each
        for group in [*changed, *removed]:
            self._remove(group)
        for group in [*added, *changed]:
            self._rpc().addProcessGroup(group)

    def _remove(self, group: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._rpc().removeProcessGroup(group)
            except Fault as fault:
                if fault.faultCode != Faults.STILL_RUNNING or time.monotonic() > deadline:
                    raise StackError(f"{group} cannot be stopped: {fault.faultString}") from None
                time.sleep(0.1)
            else:
                return

    def _stop_orphans(self) -> None:
        """Stop what a killed service left behind: nobody hands work to a killed scheduler's workers."""
        pid = self.pid
        if pid is not None:
            supervisor = psutil.Process(pid)
            kept = {pid, os.getpid(), *(child.pid for child in supervisor.children(recursive=True))}
            stop_processes(process for process in stack_processes(self.home) if process.pid not in kept)

    def _clear_leftovers(self) -> None:
        """Stop what a killed supervisord left running: the clients first, the database last."""
        ours = [process for process in stack_processes(self.home) if process.pid != os.getpid()]
        database = [process for process in ours if _is_database(process)]
        stop_processes([process for process in ours if process not in database])
        for process in database:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGINT)  # SIGTERM would wait for clients
        _, alive = psutil.wait_procs(database, timeout=20)
        stop_processes(alive, seconds=2)
        for name in ("supervisor.sock", "supervisord.pid"):
            (self._run / name).unlink(missing_ok=True)
        # No process of this data directory lives any more, whatever the number in its pid file means now.
        (self.home / "postgres" / "postmaster.pid").unlink(missing_ok=True)

    def _render(self, programs: Sequence[Program]) -> str:
        sections = [
            "[unix_http_server]",
            f"file={_escape(str(self._socket))}",
            "chmod=0600",
            "[supervisord]",
            f"logfile={_escape(str(self.logs / 'supervisord.log'))}",
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            f"pidfile={_escape(str(self._run / 'supervisord.pid'))}",
            f"directory={_escape(str(self.home))}",
            "minfds=1024",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for program in programs:
            sections += self._render_program(program)
        return "\n".join(sections) + "\n"

    def _render_program(self, program: Program) -> list[str]:
        environment = {**program.environment, MARKER: str(self.home)}
        return [
            f"[program:{program.name}]",
            f"command={_escape(shlex.join(program.command))}",
            f"directory={_escape(str(program.directory))}",
            f"environment={','.join(_assignment(*item) for item in sorted(environment.items()))}",
            f"priority={program.priority}",
            "autostart=false",
            "autorestart=true",
            "startsecs=2",
            "startretries=3",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            f"stopasgroup={str(program.stop_as_group).lower()}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_escape(str(self.log(program.name)))}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
        ]


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for a message about a failure."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 20_000))
            text = handle.read().decode(errors="replace")
    except FileNotFoundError:
        return f"(there is no log at {path})"
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _is_database(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(Path(word).name == "postgres" for word in process.cmdline()[:1])
    return False


def _escape(value: str) -> str:
    """A value as supervisord's configuration holds it: it expands `%(...)s` and quotes no comment."""
    if any(mark in value for mark in (" ;", " #", "\n")):
        raise StackError("supervisord cannot be given a path or setting with ' ;', ' #' or a line break in it")
    return value.replace("%", "%%")


def _assignment(name: str, value: str) -> str:
    quote = next((mark for mark in "\"'" if mark not in value), None)
    if quote is None or {value[:1], value[-1:]} & {"'", '"'}:
        raise StackError(f"the value of {name} mixes quotes in a way that supervisord cannot be given")
    return f"{name}={quote}{_escape(value)}{quote}"
