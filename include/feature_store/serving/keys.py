"""Keys of the REST API: made, listed, replaced and ended. Real time, by the database's clock.

A key is `fs_<key id>_<secret>` with 256 random bits in its secret. It is shown once: the database holds its SHA-256.
A change is committed when its function returns, unless the caller has a transaction open; the processes of the API then
learn of it at once.
"""

import re
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from feature_store.errors import ApiKeyError

SCOPES = ("read", "publish", "admin")
TOKEN = re.compile(r"fs_([0-9a-z]{8})_[0-9A-Za-z_-]{43}")
"""What a key looks like; its first group is its id."""

_ALPHABET = string.ascii_lowercase + string.digits
_COLUMNS = sql.SQL(
    """key_id, name, scopes, rate_limit_rpm, created_at, expires_at, revoked_at,
    case when revoked_at is not null then 'revoked' when expires_at <= clock_timestamp() then 'expired'
      else 'active' end as state"""
)
_MAKE = sql.SQL(
    """insert into ops.api_keys (key_id, name, sha256, scopes, rate_limit_rpm, expires_at)
    values (%(key_id)s, %(name)s, %(sha256)s, %(scopes)s, %(rate_limit_rpm)s, %(expires_at)s)
    returning {}"""
).format(_COLUMNS)
_LIST = sql.SQL("select {} from ops.api_keys order by created_at, key_id").format(_COLUMNS)
_FIND = sql.SQL("select {} from ops.api_keys where key_id = %s for update").format(_COLUMNS)
_HELD = sql.SQL("select {} from ops.api_keys where sha256 = %s").format(_COLUMNS)
# A key that would end sooner anyway does.
_SHORTEN = sql.SQL(
    "update ops.api_keys set expires_at = least(expires_at, clock_timestamp() + %s) where key_id = %s returning {}"
).format(_COLUMNS)
_REVOKE = sql.SQL(
    "update ops.api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()) where key_id = %s returning {}"
).format(_COLUMNS)


@dataclass(frozen=True)
class ApiKey:
    """A key as it may be told; instants are UTC, real time."""

    key_id: str
    name: str
    scopes: Sequence[str]
    rate_limit_rpm: int | None
    """None: the setting; 0: no limit."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    state: str
    """active, expired or revoked."""

    def __post_init__(self) -> None:
        for name in ("created_at", "expires_at", "revoked_at"):
            instant = getattr(self, name)
            object.__setattr__(self, name, instant and instant.astimezone(UTC))


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with its token: nobody can show that again."""

    key: ApiKey
    token: str = field(repr=False)

    @property
    def key_id(self) -> str:
        """What it is called."""
        return self.key.key_id


def create_key(
    conn: psycopg.Connection,
    name: str,
    scopes: Iterable[str],
    expires: datetime | timedelta | None = None,
    rate_limit_rpm: int | None = None,
) -> NewKey:
    """Make a key that ends at an instant, after a while, or never; raises ApiKeyError when it would be of no use.

    Two keys may have one name: ids tell them apart.
    """
    chosen = _scopes(scopes)
    _check(name, rate_limit_rpm)
    with conn.transaction():
        return _make(conn, name, chosen, _end(conn, expires), rate_limit_rpm)


def list_keys(conn: psycopg.Connection) -> list[ApiKey]:
    """Every key there ever was, oldest first."""
    with conn.transaction(), conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(_LIST).fetchall()


def find_key(conn: psycopg.Connection, token: str) -> ApiKey | None:
    """The key with that token, whatever became of it; None when the database has none."""
    with conn.transaction():
        return _one(conn, _HELD, (hash_of(token),))


def rotate_key(conn: psycopg.Connection, key_id: str, grace: timedelta) -> NewKey:
    """Make a key in place of an active one, which ends after `grace`: as good as it, and for as long a life."""
    if grace < timedelta(0):
        raise ApiKeyError(f"the old key cannot end {-grace} ago: give a grace of nothing or longer")
    with conn.transaction():
        old = _found(conn, _FIND, (key_id,), key_id)
        if old.state != "active":
            raise ApiKeyError(
                f"the key {key_id} ({old.name}) is {old.state}: `feature-store keys create` makes another"
            )
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        new = _make(conn, old.name, old.scopes, _end(conn, lifetime), old.rate_limit_rpm)
        _found(conn, _SHORTEN, (grace, key_id), key_id)
        return new


def revoke_key(conn: psycopg.Connection, key_id: str) -> ApiKey:
    """End a key at once; ending it again changes nothing."""
    with conn.transaction():
        return _found(conn, _REVOKE, (key_id,), key_id)


def hash_of(token: str) -> str:
    """What the database holds of a key. It has 256 random bits, so that a slow hash would add nothing."""
    return sha256(token.encode()).hexdigest()


def _make(
    conn: psycopg.Connection, name: str, scopes: Sequence[str], expires_at: datetime | None, rate_limit_rpm: int | None
) -> NewKey:
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    token = f"fs_{key_id}_{secrets.token_urlsafe(32)}"
    values: dict[str, Any] = {
        "key_id": key_id,
        "name": name,
        "sha256": hash_of(token),
        "scopes": list(scopes),
        "rate_limit_rpm": rate_limit_rpm,
        "expires_at": expires_at,
    }
    made = _one(conn, _MAKE, values)
    assert made is not None
    return NewKey(made, token)


def _found(conn: psycopg.Connection, query: sql.Composed, values: tuple[Any, ...], key_id: str) -> ApiKey:
    found = _one(conn, query, values)
    if found is None:
        raise ApiKeyError(f"there is no key {key_id!r}: `feature-store keys list` shows the ids")
    return found


def _one(conn: psycopg.Connection, query: sql.Composed, values: Any) -> ApiKey | None:
    with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(query, values).fetchone()


def _scopes(given: Iterable[str]) -> list[str]:
    asked = set(given)
    if unknown := sorted(asked - set(SCOPES)):
        raise ApiKeyError(f"there is no scope {unknown[0]!r}: there are {', '.join(SCOPES)}")
    if not asked:
        raise ApiKeyError(f"a key without a scope opens nothing: give it at least one of {', '.join(SCOPES)}")
    return [scope for scope in SCOPES if scope in asked]


def _check(name: str, rate_limit_rpm: int | None) -> None:
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= 100:
        raise ApiKeyError(f"{name!r} is no name for a key: take 1 to 100 printable characters, no space at either end")
    if rate_limit_rpm is not None and not 0 <= rate_limit_rpm < 2**31:
        raise ApiKeyError(f"{rate_limit_rpm} requests a minute cannot be granted: 0 is no limit, 1 the lowest one")


def _end(conn: psycopg.Connection, expires: datetime | timedelta | None) -> datetime | None:
    if expires is None:
        return None
    now = _now(conn)
    try:
        ends = now + expires if isinstance(expires, timedelta) else expires
    except OverflowError:
        raise ApiKeyError(f"no calendar reaches {expires} ahead: choose a shorter life, or none") from None
    if ends <= now:
        raise ApiKeyError(f"{ends.isoformat()} is over, so the key could never be used: choose a later instant")
    return ends


def _now(conn: psycopg.Connection) -> datetime:
    row = conn.execute("select clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now
