"""Comparing stores: one hash over what is known."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import psycopg

# State, not values: a withdrawn point and an older definition are content too.
_STATE = """
copy (
  select feature_id, version, (extract(epoch from ts) * 1000000)::bigint,
         (extract(epoch from available_at) * 1000000)::bigint, available_basis, value
  from features.as_of({instant})
  where {features}::text[] is null or feature_id = any({features})
  order by feature_id collate "C", version, ts
) to stdout
"""


def content_hash(conn: psycopg.Connection, as_of: datetime | None = None, features: Sequence[str] | None = None) -> str:
    """SHA-256 over (feature_id, version, ts, available_at, basis, value) of state (as_of, ∞), in key order.

    `as_of` is an aware instant; None means everything known. `features` are ids; None means all. Two stores of equal
    content have equal hashes.
    """
    digest = sha256()
    chosen = None if features is None else list(features)
    query = psycopg.sql.SQL(_STATE).format(
        instant=psycopg.sql.Literal(as_of or "infinity"), features=psycopg.sql.Literal(chosen)
    )
    with conn.cursor().copy(query) as copy:
        for block in copy:
            digest.update(block)
    return digest.hexdigest()
