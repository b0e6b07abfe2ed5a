"""The REST API as a service of the stack: its program, its logins to the database and the key of the stack's own."""

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from feature_store.errors import StackError
from feature_store.serving.keys import create_key, find_key
from feature_store.settings import Settings
from feature_store.stack.postgres import make_login
from feature_store.stack.secrets import keep_secret
from feature_store.stack.supervision import Program

KEY_NAME = "make up"
SCOPES = ("read", "publish", "admin")
_PREFIX = "feature_store_api_"


def program(settings: Settings, home: Path, exported: Mapping[str, str]) -> Program:
    """The API for the supervisor. What it knows of the database is what reads, and what publishes."""
    environment = {
        **exported,
        "FEATURE_STORE_POSTGRES_DSN": settings.reader_dsn,
        "FEATURE_STORE_READER_DSN": settings.reader_dsn,
        "FEATURE_STORE_PUBLISHER_DSN": settings.publisher_dsn,
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
    return Program("api", [sys.executable, "-m", "feature_store.serving.api"], home, environment, priority=40)


def url(settings: Settings) -> str:
    """Where the API listens."""
    return f"http://127.0.0.1:{settings.port_api}"


def is_ready(settings: Settings) -> bool:
    """Whether the API answers, and has its database, now."""
    try:
        return httpx.get(f"{url(settings)}/readyz", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def ensure_logins(settings: Settings) -> str:
    """Have the API's users of the database with the passwords that the settings name; says what was done.

    Each is in a group, to which the migrations grant what it may do. A user of another name is somebody else's affair.
    """
    wanted = {role: conninfo_to_dict(dsn) for role, dsn in _dsns(settings).items()}
    ours = {role: login for role, login in wanted.items() if login.get("user") == f"{_PREFIX}{role}"}
    if not ours:
        return "logins of your own"
    try:
        with psycopg.connect(settings.postgres_dsn) as connection:
            for role, login in ours.items():
                _ensure_login(connection, role, str(login.get("password")))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject) as error:
        raise StackError(
            f"the API's logins cannot be made: {error}. Make them yourself, members of feature_store_reader and "
            "feature_store_publisher, or unset FEATURE_STORE_READER_DSN and FEATURE_STORE_PUBLISHER_DSN: "
            "docs/security.md says what they may do"
        ) from None
    return ", ".join(f"{_PREFIX}{role}" for role in ours)


def ensure_key(settings: Settings, held: dict[str, str]) -> str:
    """Have a key of the stack's own that works: made when there is none, it was ended, or the database is new.

    `held` are the secrets of the stack, to which it is added.
    """
    with psycopg.connect(settings.postgres_dsn) as connection, connection.transaction():
        found = find_key(connection, held["api_key"]) if "api_key" in held else None
        if found is not None and found.state == "active":
            return f"{found.key_id}, made before"
        made = create_key(connection, KEY_NAME, SCOPES)
        # Before it is committed: a key that nobody has is of no use to anybody.
        keep_secret(settings.home, "api_key", made.token)
    held["api_key"] = made.token
    return f"{made.key_id} made"


def _dsns(settings: Settings) -> dict[str, str]:
    return {"reader": settings.reader_dsn, "publisher": settings.publisher_dsn}


def _ensure_login(connection: psycopg.Connection, role: str, password: str) -> None:
    name = sql.Identifier(f"{_PREFIX}{role}")
    make_login(connection, f"{_PREFIX}{role}", password)
    connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(f"feature_store_{role}"), name))
    if role == "reader":
        connection.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(name))
