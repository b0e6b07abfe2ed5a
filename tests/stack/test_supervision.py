import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from feature_store.errors import StackError
from feature_store.stack.ports import free_port
from feature_store.stack.processes import listening_sockets, stack_processes
from feature_store.stack.s3 import S3
from feature_store.stack.secrets import ensure_secrets
from feature_store.stack.services import exclusive
from feature_store.stack.supervision import Program, Supervisor, run_folder

SERVER = """
import socket, subprocess, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""
ODD = '50% of {"a": 1, "b": "c=d"}'  # what a configuration file could trip over


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.shutdown()


def server(tmp_path: Path, port: int) -> Program:
    script = tmp_path / "a server.py"
    script.write_text(SERVER)
    return Program("server", [sys.executable, str(script), str(port)], tmp_path, {"ODD": ODD})


def run(supervisor: Supervisor, tmp_path: Path, port: int) -> int:
    supervisor.ensure([server(tmp_path, port)])
    supervisor.start("server")
    supervisor.wait("server", lambda: any(s.port == port for s in listening_sockets(tmp_path)), 20)
    return next(s.pid for s in listening_sockets(tmp_path) if s.port == port)


def test_a_service_starts_with_its_environment_and_stops_with_its_children(
    supervisor: Supervisor, tmp_path: Path, port: int
) -> None:
    pid = run(supervisor, tmp_path, port)
    assert psutil.Process(pid).environ()["ODD"] == ODD
    assert stat.S_IMODE(supervisor.config.stat().st_mode) == 0o600
    assert supervisor.start("server") is False
    supervisor.shutdown()
    assert stack_processes(tmp_path) == []


def test_after_a_killed_supervisor_the_orphans_are_stopped_and_all_starts_again(
    supervisor: Supervisor, tmp_path: Path, port: int
) -> None:
    orphan = run(supervisor, tmp_path, port)
    pid = supervisor.pid
    assert pid is not None
    killed = psutil.Process(pid)
    killed.kill()
    killed.wait(timeout=5)
    assert psutil.pid_exists(orphan)
    assert run(supervisor, tmp_path, port) != orphan
    assert not psutil.pid_exists(orphan)


def test_a_killed_service_comes_back_by_itself(supervisor: Supervisor, tmp_path: Path, port: int) -> None:
    first = run(supervisor, tmp_path, port)
    time.sleep(2.2)  # until then supervisord counts its end as a failed start
    os.kill(first, signal.SIGKILL)
    supervisor.wait("server", lambda: any(s.pid != first for s in listening_sockets(tmp_path)), 20)


def test_children_of_a_killed_service_are_stopped_by_the_next_start(
    supervisor: Supervisor, tmp_path: Path, port: int
) -> None:
    first = run(supervisor, tmp_path, port)
    orphan = psutil.Process(first).children()[0]
    time.sleep(2.2)
    os.kill(first, signal.SIGKILL)
    supervisor.wait("server", lambda: any(s.pid != first for s in listening_sockets(tmp_path)), 20)
    assert orphan.is_running()
    run(supervisor, tmp_path, port)
    assert not orphan.is_running()


def test_only_a_changed_service_is_restarted(supervisor: Supervisor, tmp_path: Path, port: int) -> None:
    first = run(supervisor, tmp_path, port)
    assert run(supervisor, tmp_path, port) == first
    assert run(supervisor, tmp_path, free_port()) != first


def test_a_service_that_ends_at_once_shows_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "raise SystemExit('no such table')"
    supervisor.ensure([Program("broken", [sys.executable, "-c", code], tmp_path)])
    supervisor.start("broken")
    with pytest.raises(StackError, match="no such table"):
        supervisor.wait("broken", lambda: False, 60)


@pytest.mark.parametrize("value", ["a ;b", "a #b", "a\nb", '"it\'s"'])
def test_a_value_that_its_configuration_cannot_hold_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StackError, match="supervisord cannot be given"):
        Supervisor(tmp_path).ensure([Program("a", ["true"], tmp_path, {"KEY": value})])


def test_a_path_too_long_for_a_socket_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / "var"
    folder = run_folder(home)
    assert len(str(folder)) < 90
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(StackError, match=str(os.getpid())), exclusive(tmp_path):
        pass


def test_the_s3_server_listens_on_loopback_only_and_hands_nothing_out_without_a_key(
    supervisor: Supervisor, tmp_path: Path, port: int
) -> None:
    held = ensure_secrets(tmp_path)
    s3 = S3(
        tmp_path,
        port,
        *(held[f"s3_{name}"] for name in ("access_key", "secret_key", "sse_key", "internal_key")),
    )
    supervisor.ensure([Program("s3", s3.command(run_folder(tmp_path)), tmp_path, s3.environment())])
    supervisor.start("s3")
    supervisor.wait("s3", s3.is_ready, 30)
    s3.client().create_bucket(Bucket="a-bucket")
    s3.client().put_object(Bucket="a-bucket", Key="k", Body=b"secret " * 1000, ServerSideEncryption="AES256")
    sockets = listening_sockets(tmp_path)
    assert len(sockets) >= 8
    assert all(socket.is_loopback for socket in sockets)
    for socket in sockets:
        try:
            answer = httpx.get(f"http://127.0.0.1:{socket.port}/buckets/a-bucket/k", timeout=2)
        except httpx.HTTPError:
            continue  # gRPC
        assert b"secret" not in answer.content
