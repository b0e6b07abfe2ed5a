"""npm and what it makes: packages installed and sources built once, however many processes test them."""

import fcntl
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NPM = ROOT / ".ci" / "npm.py"
SDK = ROOT / "sdk" / "typescript"
EXAMPLE = SDK / "examples" / "nextjs"


def npm(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What npm says in a folder; fails the test with it where npm fails."""
    return _said(npm_command(folder, *arguments), folder, env or {})


def shell(script: str, folder: Path, env: Mapping[str, str]) -> str:
    """What a script of bash says that calls npm, node and tsc in a folder; fails the test with it where it fails."""
    node = Path(npm(SDK, "exec", "--call", "node -p process.execPath").strip())
    path = os.pathsep.join([str(SDK / "node_modules" / ".bin"), str(node.parent), os.environ["PATH"]])
    ours = f'npm() {{ {shlex.join([sys.executable, str(NPM)])} "$@"; }}\n'
    return _said(["bash", "-euo", "pipefail", "-c", ours + script], folder, {**env, "PATH": path})


def npm_command(folder: Path, *arguments: str) -> list[str]:
    """The command of npm in a folder."""
    return [sys.executable, str(NPM), "--prefix", str(folder), *arguments]


def _said(command: list[str], folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "NO_COLOR": "1", **env}, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{command}:\n{said}"
    return said


def ensure_built(folder: Path, product: str, sources: list[Path]) -> None:
    """Install the locked packages of a folder and build it, unless that was done since its sources changed."""
    with _alone(folder):
        lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
        if _is_older(installed, [lock]):
            npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            installed.touch()
        if _is_older(folder / product, [installed, *sources]):
            npm(folder, "run", "build")


def _is_older(product: Path, sources: list[Path]) -> bool:
    return not product.exists() or product.stat().st_mtime < max(source.stat().st_mtime for source in sources)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time."""
    with (folder / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
