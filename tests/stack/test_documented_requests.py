"""The lines for curl in the documentation work as they stand, against the running stack."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from .running import COMMAND, Running

ROOT = Path(__file__).parents[2]
PAGE, README = (ROOT / "docs" / "api.md").read_text(), (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
FIRST_VALUE = re.findall(r"```bash\n(.*?)```", README.partition("## A first value")[2].partition("\n## ")[0], re.DOTALL)
QUESTIONS = [
    question for block in BLOCKS for question in re.split(r"\n(?=#|curl)", block) if "curl" in question
]  # each with its comment


def ask(stack: Running, question: str, before: str = "") -> str:
    place = {"API": stack.handles["api_url"], "KEY": stack.handles["api_key"]}
    script = f"set -euo pipefail\n{before}{question}".replace("curl -s", "curl -s --fail-with-body")
    script = script.replace(".venv/bin/feature-store", COMMAND)
    done = subprocess.run(
        ["bash", "-c", script], env={**stack.env, **place}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{question}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_every_documented_line_is_answered(stack: Running, question: str) -> None:
    assert ask(stack, question).strip()


def test_the_lines_answer_what_their_comments_say(stack: Running) -> None:
    [latest] = json.loads(ask(stack, next(line for line in QUESTIONS if "/v1/latest" in line)))["points"]
    assert latest["featureId"] == "macro/us/walcl_total_usd"
    joined = json.loads(ask(stack, next(line for line in QUESTIONS if "/v1/historical" in line)))
    assert [set(row["values"]) for row in joined["rows"]] == [{"macro/us/net_liquidity_usd", "macro/us/vix_index"}] * 2
    explained = json.loads(ask(stack, next(line for line in QUESTIONS if "/v1/explain" in line)))
    assert explained["sources"][0]["download"].startswith("/v1/payloads/")


def test_a_stranger_gets_a_first_value(stack: Running, tmp_path: Path) -> None:
    """The lines of the README, by curl, from Python in an environment of its own, and with where it comes from."""
    by_curl, by_python, explained = (block.replace("/tmp/client", str(tmp_path / "client")) for block in FIRST_VALUE)
    address = by_curl.splitlines()[0] + "\n"
    [point] = json.loads(ask(stack, by_curl))["points"]
    assert point["featureId"] == "macro/us/net_liquidity_usd"
    assert str(point["value"]) in ask(stack, by_python, address)
    assert "macro/us/walcl_total_usd" in ask(stack, explained), "an input"


def test_it_says_every_kind_of_problem() -> None:
    from feature_store.serving.api.problems import KINDS

    told = set(re.findall(r"`([a-z-]+)`", PAGE.split("| status |")[1]))
    assert told >= set(KINDS)


def test_the_line_that_make_up_prints_is_answered(stack: Running) -> None:
    [line] = re.findall(r"curl .*", stack.printed)
    assert json.loads(ask(stack, line))["points"]
