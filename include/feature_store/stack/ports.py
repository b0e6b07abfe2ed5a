"""The TCP ports of the stack: whether they are free, and who has them when not."""

import socket

import psutil

from feature_store.errors import StackError
from feature_store.stack.processes import listener

# SeaweedFS adds 10000 to a port for gRPC, so a port above this one would have no partner.
HIGHEST = 55_535


def is_free(port: int) -> bool:
    """Whether we could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a connection of a stopped server that lingers in TIME_WAIT is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, low enough for SeaweedFS to add 10000."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= HIGHEST:
            return port


def require_free(port: int, setting: str, service: str) -> None:
    """Refuse a port that another program holds, naming the setting that moves ours elsewhere."""
    if is_free(port):
        return
    raise StackError(
        f"port {port} for {service} is taken{_holder(port)}: stop that program, or choose another port, "
        f"for example `{setting}={_suggest(port)} make up`"
    )


def _holder(port: int) -> str:
    process = listener(port)
    if process is None:
        return " by another program"
    try:
        return f" by process {process.pid} ({process.name()})"
    except psutil.Error:
        return " by another program"


def _suggest(port: int) -> int:
    candidate = port + 1
    while candidate < HIGHEST and not is_free(candidate):
        candidate += 1
    return candidate
