import json
import stat
from pathlib import Path

import pytest

from feature_store.errors import StackError
from feature_store.stack.secrets import ensure_secrets


def test_every_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path)
    assert {"postgres_password", "airflow_password", "s3_access_key", "s3_secret_key"} <= set(first)
    assert {"s3_sse_key", "jwt_secret", "fernet_key"} <= set(first)
    assert ensure_secrets(tmp_path) == first


def test_what_is_missing_is_added_and_what_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"postgres_password": "mine", "fred_note": "kept"}))
    held = ensure_secrets(tmp_path)
    assert held["postgres_password"] == "mine"
    assert held["fred_note"] == "kept"
    assert held["jwt_secret"]


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    path = tmp_path / "secrets.json"
    path.chmod(0o644)
    ensure_secrets(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StackError, match=r"secrets\.json"):
        ensure_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    first, second = ensure_secrets(tmp_path / "a"), ensure_secrets(tmp_path / "b")
    assert not set(first.values()) & set(second.values())
