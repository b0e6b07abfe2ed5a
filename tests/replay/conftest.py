import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .server import Fred, Wall, serving

START = "2024-03-01T12:00:00+00:00"


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Wall]]:
    """One server for all tests of this folder: starting and stopping one takes half a second."""
    folder, wall = tmp_path_factory.mktemp("replay"), Wall(START)
    with serving(folder, wall) as url:
        yield url, folder, wall


@pytest.fixture
def folder(shared_server: tuple[str, Path, Wall]) -> Path:
    """The folder that is served, empty."""
    path = shared_server[1]
    shutil.rmtree(path)
    path.mkdir()
    return path


@pytest.fixture
def wall(shared_server: tuple[str, Path, Wall]) -> Wall:
    """The server's clock."""
    shared_server[2].turn(START)
    return shared_server[2]


@pytest.fixture
def fred(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Iterator[Fred]:
    """A client of the server, which has no faults and nothing to serve yet."""
    httpx.delete(f"{shared_server[0]}/_faults")
    client = Fred(shared_server[0])
    yield client
    client.http.close()
