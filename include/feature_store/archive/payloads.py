"""The bytes the sources sent: they land in the database, move to S3, are read from wherever they lie, and expire."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import partial
from hashlib import sha256 as digest_of
from typing import Any

import psycopg
import zstandard
from psycopg.rows import class_row

from feature_store import clock
from feature_store.archive.s3 import CONNECTIONS, PAYLOADS, Bucket, open_bucket
from feature_store.catalog import Catalog
from feature_store.catalog.contracts import Days
from feature_store.errors import ArchiveError, BytesExpired
from feature_store.settings import Settings
from feature_store.warehouse.connection import alone

_WORK = "raw.payloads"
"""Who puts or deletes bytes works alone: what one deletes may be what another has just put there again."""

# Bytes that several sources sent lie with the first of them.
_TO_MOVE = """
select p.sha256, p.content, (select min(f.source) from raw.fetches as f where f.sha256 = p.sha256) as source
from raw.payloads as p
where p.content is not null and p.sha256 > %s
order by p.sha256 limit %s
"""

EXPIRED_AT_ONCE = 64

# Of the answers asked for, those that every stream they came from lets go; a stream that the catalog does not know lets
# go of nothing. Awaited are those that somebody may still want to read: one with an open reject may be tried again, and
# is the proof in a doubt about a number; of one that landed and was never loaded there is nothing but its bytes.
_LET_GO = """
with letting_go as (
  select * from unnest(%(sources)s::text[], %(streams)s::text[], %(until)s::timestamptz[]) as l (source, stream, until)
),
let_go as (
  select f.sha256, min(f.source) as source, min(f.source || '/' || f.stream) as stream,
         bool_or(f.outcome = 'landed' or r.fetch_id is not null) as is_awaited
  from raw.fetches as f
  left join letting_go as l using (source, stream)
  left join (select distinct fetch_id from raw.rejects where resolved_at is null) as r using (fetch_id)
  where f.sha256 in ({asked_for})
  group by f.sha256
  having bool_and(coalesce(f.fetched_at < l.until, false))
)
"""
_OF_THESE = _LET_GO.format(asked_for="select unnest(%(hashes)s::text[])")
_OF_ALL = _LET_GO.format(
    asked_for="""select old.sha256 from raw.fetches as old join letting_go using (source, stream)
    join raw.payloads as p using (sha256)
    where old.fetched_at < letting_go.until and (p.expired_at is null or p.uri is not null)"""
)
_DUE_OF_THESE = f"{_OF_THESE} select sha256, source from let_go where not is_awaited"  # noqa: S608 - constants
_DUE = f"{_OF_ALL} select sha256 from let_go where not is_awaited order by sha256"  # noqa: S608 - constants
_BY_STREAM = f"""{_OF_ALL}
select g.stream, count(*) filter (where not is_awaited),
       coalesce(sum(p.size_bytes) filter (where not is_awaited), 0)::bigint, count(*) filter (where is_awaited)
from let_go as g join raw.payloads as p using (sha256)
group by g.stream order by g.stream
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Moved:
    """How many payloads were moved, and their compressed size."""

    payloads: int = 0
    size_bytes: int = 0

    def __str__(self) -> str:
        return f"{self.payloads} payloads moved ({self.size_bytes} bytes)"


@dataclass(frozen=True)
class _Landed:
    """Bytes as they lie in the database, compressed, and the source they are filed under."""

    sha256: str
    content: bytes
    source: str


def move_payloads(conn: psycopg.Connection, settings: Settings) -> Moved:
    """Move all landed bytes to `{uri}/_payloads/{source}/{aa}/{sha256}.zst`, a few at a time, each batch committed.

    The database lets go of bytes only after they were read back from S3 and have their hash. Raises ArchiveError when
    S3 is away or gives back other bytes: what is not moved stays where it is, for the next run.
    """
    bucket = open_bucket(settings)
    moved, last = Moved(), ""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while batch := _move_batch(conn, bucket, pool, last):
            last = batch[-1].sha256
            moved = Moved(moved.payloads + len(batch), moved.size_bytes + sum(len(each.content) for each in batch))
    return moved


def landed_payloads(conn: psycopg.Connection) -> Moved:
    """What `move_payloads` would move now."""
    row = conn.execute(
        "select count(*), coalesce(sum(length(content)), 0)::bigint from raw.payloads where content is not null"
    ).fetchone()
    conn.commit()
    assert row is not None
    return Moved(*row)


def _move_batch(conn: psycopg.Connection, bucket: Bucket, pool: ThreadPoolExecutor, last: str) -> list[_Landed]:
    with alone(conn, _WORK):
        with conn.cursor(row_factory=class_row(_Landed)) as cursor:
            batch = cursor.execute(_TO_MOVE, (last, CONNECTIONS)).fetchall()
        # No transaction stays open while S3 is asked: readers of what committed wait for the oldest one.
        conn.commit()
        uris = list(pool.map(partial(_put, bucket), batch))
        with conn.transaction():
            conn.cursor().executemany(
                "update raw.payloads set uri = %s, stored_bytes = %s, content = null where sha256 = %s",
                [(uri, len(landed.content), landed.sha256) for uri, landed in zip(uris, batch, strict=True)],
            )
    return batch


@dataclass(frozen=True)
class Due:
    """Of a stream `<slug>/<name>`, how many payloads are over their time, and their size before compression.

    `awaited` of others are over it too, and stay: they were never loaded, or have rejects that may be tried again.
    """

    stream: str
    payloads: int
    size_bytes: int
    awaited: int


@dataclass(frozen=True)
class Expired:
    """How many payloads expired, and their size before compression."""

    payloads: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Expired") -> "Expired":
        return Expired(self.payloads + other.payloads, self.size_bytes + other.size_bytes)

    def __str__(self) -> str:
        return f"{self.payloads} payloads expired ({self.size_bytes} bytes before compression)"


def expire_payloads(conn: psycopg.Connection, settings: Settings, catalog: Catalog) -> Expired:
    """Let go of the bytes that no stream keeps any more, a few at a time, each batch committed; hash and size stay.

    Bytes go when every stream that sent them says `payloads: {days: N}` and every fetch of them lies more than N days
    back, by the store's clock. Raises ArchiveError when S3 is away or refuses: the next run completes this one.
    """
    bucket = open_bucket(settings)
    letting_go = _letting_go(conn, catalog)
    with ThreadPoolExecutor(CONNECTIONS) as pool, conn.cursor("payloads_to_expire", withhold=True) as due:
        with alone(conn, _WORK):
            expired = _delete_marked(conn, bucket, pool)
        due.execute(_DUE, letting_go)
        conn.commit()
        while batch := due.fetchmany(EXPIRED_AT_ONCE):
            with alone(conn, _WORK):
                _mark(conn, bucket, letting_go, [sha256 for (sha256,) in batch])
                expired += _delete_marked(conn, bucket, pool)
    conn.commit()
    return expired


def due_payloads(conn: psycopg.Connection, catalog: Catalog) -> list[Due]:
    """What `expire_payloads` would let go now, by stream; bytes that several streams sent count with the first."""
    rows = conn.execute(_BY_STREAM, _letting_go(conn, catalog)).fetchall()
    conn.commit()
    return [Due(*row) for row in rows]


def _letting_go(conn: psycopg.Connection, catalog: Catalog) -> dict[str, Any]:
    """The streams whose bytes expire, and the instant of the oldest fetch that each still keeps."""
    now = clock.now(conn)
    conn.commit()
    streams = [
        (source.slug, name, now - timedelta(days=stream.payloads.days))
        for source in catalog.sources.values()
        for name, stream in source.streams.items()
        if isinstance(stream.payloads, Days)
    ]
    return {
        "sources": [slug for slug, _, _ in streams],
        "streams": [name for _, name, _ in streams],
        "until": [until for _, _, until in streams],
    }


def _mark(conn: psycopg.Connection, bucket: Bucket, letting_go: dict[str, Any], hashes: list[str]) -> None:
    """Commit which of the bytes are let go. Those in the database are gone then; those on S3 have their `uri` still."""
    with conn.transaction():
        # A landing that brings one of them again holds its row, which is passed over; one that comes later waits, and
        # puts the bytes back.
        locked = conn.execute(
            """select sha256 from raw.payloads where sha256 = any(%s) and expired_at is null
               order by sha256 for update skip locked""",
            (hashes,),
        ).fetchall()
        # Asked again now that they are locked, for a landing may have come first.
        due = conn.execute(_DUE_OF_THESE, {**letting_go, "hashes": [sha256 for (sha256,) in locked]}).fetchall()
        # A move that was killed may have put bytes where no row tells of them: they are deleted there too.
        conn.cursor().executemany(
            "update raw.payloads set content = null, uri = coalesce(uri, %s), expired_at = ops.now() where sha256 = %s",
            [(bucket.uri(_key(source, sha256)), sha256) for sha256, source in due],
        )


def _delete_marked(conn: psycopg.Connection, bucket: Bucket, pool: ThreadPoolExecutor) -> Expired:
    """Delete from S3 what was let go, and only then forget where it lay: who is killed in between does it again."""
    expired = Expired()
    while batch := conn.execute(
        """select sha256, uri, size_bytes from raw.payloads where expired_at is not null and uri is not null
           order by sha256 limit %s""",
        (EXPIRED_AT_ONCE,),
    ).fetchall():
        conn.commit()
        list(pool.map(bucket.delete, [uri for _, uri, _ in batch]))
        # Bytes that came again meanwhile lie in the database, and their row tells of no place on S3.
        conn.execute(
            "update raw.payloads set uri = null where sha256 = any(%s) and expired_at is not null",
            ([sha256 for sha256, *_ in batch],),
        )
        conn.commit()
        expired += Expired(len(batch), sum(size for *_, size in batch))
    return expired


def read_payload(conn: psycopg.Connection, settings: Settings, sha256: str) -> bytes:
    """The answer of that hash as it was received, from the database or from S3.

    Raises BytesExpired when its stream lets go of bytes and these are gone, ArchiveError when there is no such payload,
    when S3 is away, or when the bytes do not have their hash.
    """
    content, uri = _place(conn, sha256)
    if content is not None:
        return unpacked(content, sha256, "raw.payloads")
    try:
        content = open_bucket(settings).get(uri)
    except ArchiveError:
        _place(conn, sha256)  # says so where they expired just now
        raise
    return unpacked(content, sha256, uri)


def _place(conn: psycopg.Connection, sha256: str) -> tuple[bytes | None, str]:
    """The bytes, if they lie in the database, or else their URI."""
    row = conn.execute("select content, uri, expired_at from raw.payloads where sha256 = %s", (sha256,)).fetchone()
    if row is None:
        raise ArchiveError(f"raw.payloads holds no answer with the hash {sha256}")
    content, uri, expired_at = row
    if expired_at is not None:
        raise BytesExpired(
            f"the bytes of the answer {sha256} expired at {expired_at.astimezone(UTC).isoformat()}, by `payloads` of "
            "their streams in datasources.yaml; its fetches in raw.fetches and this SHA-256 of it remain"
        )
    return content, uri


def _put(bucket: Bucket, landed: _Landed) -> str:
    """Write the bytes, read them back and hold them against their hash; returns where they lie."""
    key = _key(landed.source, landed.sha256)
    bucket.put(key, landed.content)
    uri = bucket.uri(key)
    unpacked(bucket.get(uri), landed.sha256, uri)
    return uri


def _key(source: str, sha256: str) -> str:
    return f"{PAYLOADS}{source}/{sha256[:2]}/{sha256}.zst"


def unpacked(content: bytes, sha256: str, place: str) -> bytes:
    """The answer of stored bytes; raises ArchiveError when it does not have its hash."""
    try:
        answer = zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ArchiveError(f"the bytes at {place} are not what was written: {error} (answer {sha256})") from None
    if digest_of(answer).hexdigest() != sha256:
        raise ArchiveError(f"the bytes at {place} do not have the hash {sha256}: they were changed or damaged")
    return answer
