"""Which processes of this machine belong to a stack, and on what they listen.

Every process we start carries `FEATURE_STORE_STACK=<state directory>` in its environment, which its
children inherit. PostgreSQL overwrites its environment, so it is known by its data directory.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARKER = "FEATURE_STORE_STACK"


@dataclass(frozen=True)
class Listening:
    """One listening socket of one process."""

    pid: int
    command: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in {"127.0.0.1", "::1"}


def stack_processes(home: Path) -> list[psutil.Process]:
    """Every living process of the stack whose state is in `home`, children included."""
    found = {process.pid: process for process in psutil.process_iter() if _is_ours(process, home)}
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            found.update({child.pid: child for child in process.children(recursive=True)})
    return list(found.values())


def listening_sockets(home: Path) -> list[Listening]:
    """Every TCP socket on which a process of the stack listens, its children included."""
    sockets = set()
    for process in stack_processes(home):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())[:120]
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr:
                    host, port = connection.laddr.ip, connection.laddr.port
                    sockets.add(Listening(process.pid, command, host, port))
    return sorted(sockets, key=lambda socket: (socket.port, socket.pid))


def listener(port: int) -> psutil.Process | None:
    """The process that listens on this port of 127.0.0.1, when it can be seen."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                return psutil.Process(connection.pid)
    return None


def memory_bytes(home: Path) -> int:
    """What the stack holds in memory; pages shared between processes are counted once (PSS)."""
    total = 0
    for process in stack_processes(home):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += int(getattr(info, "pss", info.rss))
    return total


def stop_processes(processes: Iterable[psutil.Process], seconds: float = 10) -> None:
    """Ask them to end, wait, and kill what remains."""
    targets = list(processes)
    for process in targets:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(targets, timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def _is_ours(process: psutil.Process, home: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(MARKER) == str(home):
            return True
    with contextlib.suppress(psutil.Error, OSError):
        command = process.cmdline()
        return "-D" in command and str(home / "postgres") in command
    return False
