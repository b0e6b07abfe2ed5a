"""`.env.example` and `feature-store settings` tell every variable, and its default, as the settings have them."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feature_store.settings import ROOT, Settings

EXAMPLE = (ROOT / ".env.example").read_text()
OWN, COMPOSE = EXAMPLE.split("# --- Docker Compose alone")
VARIABLE = re.compile(r"(?P<unset># )?(?P<name>[A-Z][A-Z0-9_]+)=(?P<value>.*)")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    command = [str(Path(sys.executable).parent / "feature-store"), "settings"]
    env = {**os.environ, "FEATURE_STORE_HOME": str(tmp_path_factory.mktemp("home")), "COLUMNS": "300"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_the_example_names_the_settings_and_no_others() -> None:
    assert sorted(name for name, _ in held(OWN)) == sorted(aliases())


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_example_gives_the_default(field: str) -> None:
    info = Settings.model_fields[field]
    value = dict(held(OWN))[str(info.alias)]
    if info.default is None:
        assert value is None, f"{info.alias} is unset by default: comment it out"
    else:
        assert value is not None, f"{info.alias} has a default: show it"
        found = getattr(Settings.model_validate({str(info.alias): value.strip('"')}), field)
        assert (ROOT / found if isinstance(found, Path) else found) == info.default


def test_every_line_of_the_example_says_what_it_does() -> None:
    lines = EXAMPLE.splitlines()
    for above, line in itertools.pairwise(lines):
        if VARIABLE.fullmatch(line):
            assert re.match(r"# [A-Z]|# replay: ", above), f"nothing explains {line}"


@pytest.mark.parametrize("name", sorted(str(info.alias) for info in Settings.model_fields.values()))
def test_the_command_line_shows_the_setting(shown: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", shown)


def test_the_example_holds_no_secret() -> None:
    assert all(value is None for _, value in held(COMPOSE))


def aliases() -> set[str]:
    return {str(info.alias) for info in Settings.model_fields.values()}


def held(text: str) -> list[tuple[str, str | None]]:
    """The variables of a part of the example; None where its line is commented out."""
    found = [match for line in text.splitlines() if (match := VARIABLE.fullmatch(line))]
    return [(match["name"], None if match["unset"] else match["value"]) for match in found]
