"""Which Node.js `make check` takes: the one on PATH if it will do, else that of the Python environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from .node import NPM


def run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, str(NPM), "--version"]
    return subprocess.run(
        command, env={"PATH": str(path), "HOME": str(path)}, capture_output=True, text=True, check=False
    )


def install(folder: Path, version: str) -> None:
    """A node that says its version, and an npm that says whose it is."""
    for name, words in (("node", version), ("npm", "that of PATH")):
        (folder / name).write_text(f"#!/bin/sh\necho {words}\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("version", ["v20.19.0", "v22.1.0", "v30.0.0"])
def test_one_on_path_that_will_do_is_taken(tmp_path: Path, version: str) -> None:
    install(tmp_path, version)
    assert run(tmp_path).stdout == "that of PATH\n"


@pytest.mark.parametrize("version", ["v18.20.4", "v20.18.3", "no version"])
def test_one_on_path_that_is_too_old_is_left_for_that_of_the_environment(tmp_path: Path, version: str) -> None:
    install(tmp_path, version)
    done = run(tmp_path)
    assert done.returncode == 0
    assert done.stdout[0].isdecimal()


def test_that_of_the_environment_is_taken_where_path_has_none(tmp_path: Path) -> None:
    assert run(tmp_path).stdout[0].isdecimal()


def test_without_any_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, "-S")  # without the packages of the environment
    assert done.returncode == 1
    assert "No Node.js of version 20.19 or newer" in done.stderr
    assert "https://nodejs.org" in done.stderr
