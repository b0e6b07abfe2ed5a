"""The Dockerfile, as far as it can be judged without Docker: its sources are there, and secrets and tests stay out."""

import re
import subprocess
from fnmatch import fnmatch

from feature_store.settings import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_its_base_and_its_installer_are_pinned() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])
    assert re.search(r"pip install --no-cache-dir uv==\d", DOCKERFILE)
    assert "--constraint requirements.txt" in DOCKERFILE


def test_it_ends_as_an_ordinary_user() -> None:
    user = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1]
    assert user == "10001"
    assert f"useradd --uid {user} " in DOCKERFILE


def test_what_the_image_copies_is_in_the_repository_and_not_ignored() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    sources = [
        source for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]
    ]
    assert {"include", "dags", "plugins", "dbt_project", "expectations"} <= set(sources)
    for source in sources:
        files = [name for name in tracked if name == source or name.startswith(f"{source}/")]
        assert files, f"a fresh clone has no {source}"
        assert not [name for name in files if ignored(name)]
    assert all(ignored(name) for name in (".env", "var/secrets.json", ".git/config", "tests/conftest.py"))
    assert ignored("include/feature_store/__pycache__/clock.pyc")


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a file out: its last matching line decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or line.startswith("#"):
            continue
        shapes = [pattern, pattern.removeprefix("**/")]
        parents = ["/".join(name.split("/")[: end + 1]) for end in range(name.count("/") + 1)]
        hit = any(fnmatch(parent, shape) for parent in parents for shape in shapes)
        verdict = (not line.startswith("!")) if hit else verdict
    return verdict
