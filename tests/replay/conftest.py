import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_store.replay.generate import generate
from tests.faults import clear_faults

from .server import Binance, Fred, Wall, serving

START = "2024-03-01T12:00:00+00:00"
GENERATED_AT = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
LATER = datetime(2027, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Wall]]:
    """One server for all tests of this folder: starting and stopping one takes half a second."""
    folder, wall = tmp_path_factory.mktemp("replay"), Wall(START)
    with serving(folder, wall) as url:
        yield url, folder, wall


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default folder as of GENERATED_AT, not to be changed."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, GENERATED_AT)
    return folder


@pytest.fixture(scope="session")
def extended(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder, generated again as of LATER; not to be changed."""
    folder = tmp_path_factory.mktemp("extended") / "replay"
    shutil.copytree(generated, folder)
    generate(folder, LATER)
    return folder


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
    clear_faults(shared_server[0])
    client = Fred(shared_server[0])
    yield client
    client.http.close()


@pytest.fixture
def binance(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Iterator[Binance]:
    """The same for Binance."""
    clear_faults(shared_server[0])
    client = Binance(shared_server[0])
    yield client
    client.http.close()
