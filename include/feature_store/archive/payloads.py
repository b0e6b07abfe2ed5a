"""The bytes the sources sent: they land in the database, move to S3, and are read from wherever they lie."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256 as digest_of

import psycopg
import zstandard
from psycopg.rows import class_row

from feature_store.archive.s3 import CONNECTIONS, Bucket, open_bucket
from feature_store.errors import ArchiveError
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


def _move_batch(conn: psycopg.Connection, bucket: Bucket, pool: ThreadPoolExecutor, last: str) -> list[_Landed]:
    with alone(conn, _WORK):
        with conn.cursor(row_factory=class_row(_Landed)) as cursor:
            batch = cursor.execute(_TO_MOVE, (last, CONNECTIONS)).fetchall()
        # No transaction stays open while S3 is asked: readers of what committed wait for the oldest one.
        conn.commit()
        uris = list(pool.map(partial(_put, bucket), batch))
        with conn.transaction():
            conn.cursor().executemany(
                "update raw.payloads set uri = %s, content = null where sha256 = %s",
                [(uri, landed.sha256) for uri, landed in zip(uris, batch, strict=True)],
            )
    return batch


def read_payload(conn: psycopg.Connection, settings: Settings, sha256: str) -> bytes:
    """The answer of that hash as it was received, from the database or from S3.

    Raises ArchiveError when there is no such payload, when its bytes have expired, when S3 is away, or when the bytes
    do not have their hash.
    """
    row = conn.execute("select content, uri from raw.payloads where sha256 = %s", (sha256,)).fetchone()
    if row is None:
        raise ArchiveError(f"raw.payloads holds no answer with the hash {sha256}")
    content, uri = row
    if content is None and uri is None:
        raise ArchiveError(f"the bytes of the answer {sha256} have expired; raw.fetches still tells when they came")
    return _unpacked(open_bucket(settings).get(uri) if content is None else content, sha256, uri or "raw.payloads")


def _put(bucket: Bucket, landed: _Landed) -> str:
    """Write the bytes, read them back and hold them against their hash; returns where they lie."""
    key = _key(landed.source, landed.sha256)
    bucket.put(key, landed.content)
    uri = bucket.uri(key)
    _unpacked(bucket.get(uri), landed.sha256, uri)
    return uri


def _key(source: str, sha256: str) -> str:
    return f"_payloads/{source}/{sha256[:2]}/{sha256}.zst"


def _unpacked(content: bytes, sha256: str, place: str) -> bytes:
    try:
        answer = zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ArchiveError(f"the bytes at {place} are not what was written: {error} (answer {sha256})") from None
    if digest_of(answer).hexdigest() != sha256:
        raise ArchiveError(f"the bytes at {place} do not have the hash {sha256}: they were changed or damaged")
    return answer
