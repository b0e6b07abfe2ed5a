"""Land first, then parse: an answer is committed with its fetch before anything reads it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import psycopg
import zstandard
from psycopg import sql
from psycopg.types.json import Jsonb

from feature_store.errors import SourceError
from feature_store.sources.contract import Payload

WALKED = "walk"
"""The run of the fetches by which a new store lives through its last day."""


@dataclass(frozen=True)
class Place:
    """Where rows go: the stream `raw.<slug>_<stream>` and the zone of the dates its source writes."""

    slug: str
    stream: str
    zone: str

    @property
    def table(self) -> sql.Identifier:
        """The raw table."""
        return sql.Identifier("raw", f"{self.slug}_{self.stream}")


def land(conn: psycopg.Connection, place: Place, series: str, payload: Payload, run_id: str) -> int:
    """Store an answer's bytes and its fetch, committed unless the caller's transaction is open; the fetch's id."""
    digest = sha256(payload.content).hexdigest()
    with conn.transaction():
        # Not waited for on disk: the load that follows is, and what it builds on lies before it in the log.
        conn.execute("set local synchronous_commit = off")
        # Bytes that expired and come again are held again. That row is locked either way: else it could expire before
        # the fetch below can be seen.
        conn.execute(
            """insert into raw.payloads as p (sha256, content, size_bytes) values (%s, %s, %s)
               on conflict (sha256) do update set content = excluded.content, uri = null, expired_at = null
               where p.expired_at is not null""",
            (digest, zstandard.compress(payload.content), len(payload.content)),
        )
        row = conn.execute(
            """insert into raw.fetches
                 (source, stream, series, endpoint, url, params, context, run_id, status, content_type, sha256,
                  fetched_at, elapsed_ms)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning fetch_id""",
            (
                place.slug, place.stream, series, payload.endpoint, payload.url, Jsonb(dict(payload.params)),
                Jsonb(dict(payload.context)), run_id, payload.status, payload.content_type, digest,
                payload.fetched_at, payload.elapsed_ms,
            ),
        ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def record_failure(
    conn: psycopg.Connection, place: Place, series: str, error: SourceError, failed_at: datetime, run_id: str
) -> None:
    """Commit that a request gave nothing usable: with the answer's bytes where one came, else as of `failed_at`."""
    with conn.transaction():
        if error.payload is not None:
            fetch_id = land(conn, place, series, error.payload, run_id)
            conn.execute(
                "update raw.fetches set outcome = 'failed', reason = %s where fetch_id = %s",
                (str(error), fetch_id),
            )
        else:
            conn.execute(
                """insert into raw.fetches
                     (source, stream, series, endpoint, url, run_id, fetched_at, outcome, reason)
                   values (%s, %s, %s, '', '', %s, %s, 'failed', %s)""",
                (place.slug, place.stream, series, run_id, failed_at, str(error)),
            )
