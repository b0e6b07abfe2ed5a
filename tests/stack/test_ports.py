import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_store.errors import StackError
from feature_store.settings import Settings
from feature_store.stack.ports import free_port, is_free, require_free
from feature_store.stack.processes import listening_sockets, stack_processes
from feature_store.stack.secrets import ensure_secrets
from feature_store.stack.services import PORTS, Stack
from feature_store.stack.up import check_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        port = free_port()
        server.bind(("127.0.0.1", port))
        server.listen()
        yield port


def stack_on(home: Path, **ports: int) -> Stack:
    chosen = {setting: ports.get(name, free_port()) for name, (setting, _) in PORTS.items()}
    return Stack(Settings(FEATURE_STORE_HOME=home, **chosen), ensure_secrets(home))


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_names_its_setting_and_who_has_it(tmp_path: Path, taken: int, name: str) -> None:
    setting, _ = PORTS[name]
    with pytest.raises(StackError) as refusal:
        check_ports(stack_on(tmp_path, **{name: taken}))
    assert setting in str(refusal.value)
    assert str(taken) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)


def test_one_port_for_two_services_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(StackError, match=r"FEATURE_STORE_PORT_POSTGRES and FEATURE_STORE_PORT_S3"):
        check_ports(stack_on(tmp_path, port_postgres=port, port_s3=port))


def test_free_ports_pass(tmp_path: Path) -> None:
    check_ports(stack_on(tmp_path))


def test_the_suggested_port_is_another_one(taken: int) -> None:
    assert not is_free(taken)
    with pytest.raises(StackError, match="choose another port"):
        require_free(taken, "FEATURE_STORE_PORT_REPLAY", "the replay server")


def test_a_folder_without_a_stack_has_no_processes(tmp_path: Path) -> None:
    assert stack_processes(tmp_path) == []
    assert listening_sockets(tmp_path) == []
