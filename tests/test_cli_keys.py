"""`feature-store keys` on a database of its own: for people and for scripts."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from feature_store.serving.keys import TOKEN

COMMAND = str(Path(sys.executable).parent / "feature-store")


@pytest.fixture
def env(dsn: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "FEATURE_STORE_POSTGRES_DSN": dsn, "FEATURE_STORE_HOME": str(tmp_path), "COLUMNS": "200"}


def call(env: dict[str, str], *arguments: str, expect: int = 0) -> tuple[str, str]:
    """What went to the standard output and what beside it."""
    done = subprocess.run([COMMAND, "keys", *arguments], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_a_key_from_its_making_to_its_end(env: dict[str, str]) -> None:
    token, said = call(env, "create", "research desk", "--scope", "read", "--scope", "publish", "--rate-limit", "0")
    match = TOKEN.fullmatch(token.strip())
    assert match is not None, "the key stands alone where scripts read"
    assert "research desk" in said
    assert token.strip() not in said
    listed, _ = call(env, "list")
    for text in (match[1], "research desk", "read, publish", "none", "active"):
        assert text in listed
    made = json.loads(call(env, "rotate", match[1], "--grace", "2h", "--json")[0])
    assert TOKEN.fullmatch(made["token"])
    assert made["scopes"] == ["read", "publish"]
    assert "revoked" in call(env, "revoke", match[1])[0]
    (left,) = json.loads(call(env, "list", "--json")[0])
    assert left["key_id"] == made["key_id"]
    assert {row["state"] for row in json.loads(call(env, "list", "--all", "--json")[0])} == {"active", "revoked"}
    assert made["token"] not in call(env, "list", "--all", "--json")[0]


def test_quiet_prints_the_key_and_nothing_else(env: dict[str, str]) -> None:
    token, said = call(env, "create", "desk", "--quiet")
    assert TOKEN.fullmatch(token.strip())
    assert said == ""


@pytest.mark.parametrize(("given", "hours"), [("90d", 2160), ("24h", 24), ("P2W", 336), ("PT90M", 1.5), ("1w", 168)])
def test_durations_are_short_or_of_iso_8601(env: dict[str, str], given: str, hours: float) -> None:
    made = json.loads(call(env, "create", "desk", "--expires", given, "--json")[0])
    created, ends = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert abs(ends - created - timedelta(hours=hours)) < timedelta(seconds=10)
    assert made["scopes"] == ["read"]


def test_an_instant_will_do_for_an_end(env: dict[str, str]) -> None:
    made = json.loads(call(env, "create", "desk", "--expires", "2100-01-01", "--json")[0])
    assert made["expires_at"] == "2100-01-01 00:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("create", "desk", "--scope", "write"), 1, "there are read, publish, admin"),
        (("create", "desk", "--expires", "2020-01-01"), 1, "is over"),
        (("create", "desk", "--expires", "soon"), 2, "no duration such as"),
        (("revoke", "nobodys0"), 1, "keys list"),
        (("rotate", "nobodys0"), 1, "keys list"),
    ],
)
def test_a_mistake_says_what_to_do(env: dict[str, str], arguments: tuple[str, ...], status: int, told: str) -> None:
    out, said = call(env, *arguments, expect=status)
    assert told in " ".join(said.split())
    assert out == ""
