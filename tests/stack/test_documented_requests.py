"""The lines for curl in the documentation work as they stand, against the running stack."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from .running import Running

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
QUESTIONS = [
    question for block in BLOCKS for question in re.split(r"\n(?=#|curl)", block) if "curl" in question
]  # each with its comment


def ask(stack: Running, question: str) -> str:
    place = {"API": stack.handles["api_url"], "KEY": stack.handles["api_key"]}
    script = re.sub(r"^(API|KEY)=.*$", "", question, flags=re.MULTILINE).replace("curl -s", "curl -s --fail-with-body")
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


def test_it_says_every_kind_of_problem() -> None:
    from feature_store.serving.api.problems import KINDS

    told = set(re.findall(r"`([a-z-]+)`", PAGE.split("| status |")[1]))
    assert told >= set(KINDS)


def test_the_line_that_make_up_prints_is_answered(stack: Running) -> None:
    [line] = re.findall(r"curl .*", stack.printed)
    assert json.loads(ask(stack, line))["points"]
