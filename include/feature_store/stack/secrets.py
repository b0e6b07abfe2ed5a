"""The generated passwords and keys of the local stack, in `secrets.json` of the state directory."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from feature_store.errors import StackError


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


# Only letters, digits, `-`, `_` and `=`: the values also stand in URLs and configuration files.
_MAKERS: Mapping[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_urlsafe(24),
    "postgres_reader_password": lambda: secrets.token_urlsafe(24),
    "postgres_publisher_password": lambda: secrets.token_urlsafe(24),
    "airflow_postgres_password": lambda: secrets.token_urlsafe(24),
    "airflow_password": lambda: secrets.token_urlsafe(12),
    "s3_access_key": lambda: secrets.token_hex(10).upper(),
    "s3_secret_key": lambda: secrets.token_urlsafe(30),
    "s3_sse_key": lambda: secrets.token_hex(32),
    "s3_internal_key": lambda: secrets.token_hex(32),
    "jwt_secret": lambda: secrets.token_urlsafe(48),
    "fernet_key": _fernet_key,
}


def ensure_secrets(home: Path) -> dict[str, str]:
    """Add what is missing to `secrets.json`, change nothing that exists, and give all of it."""
    path = home / "secrets.json"
    held = _read(path)
    missing = {name: make() for name, make in _MAKERS.items() if name not in held}
    if missing:
        held = {**held, **missing}
        write_private(path, json.dumps(held, indent=2) + "\n")
    path.chmod(0o600)
    return held


def keep_secret(home: Path, name: str, value: str) -> None:
    """Hold one more secret, or another value of one, in `secrets.json`."""
    path = home / "secrets.json"
    write_private(path, json.dumps({**_read(path), name: value}, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step with one that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    draft.replace(path)


def _read(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StackError(f"{path} is not JSON ({error}): repair it; the passwords in it cannot be guessed") from None
    if not isinstance(held, dict):
        raise StackError(f"{path} must hold one JSON object of names and values")
    return held
