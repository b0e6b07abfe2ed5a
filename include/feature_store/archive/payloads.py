"""The bytes the sources sent: they land in the database, move to S3, and are read from wherever they lie."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256 as digest_of

import psycopg
import zstandard

from feature_store.archive.s3 import CONNECTIONS, Bucket, open_bucket
from feature_store.errors import ArchiveError
from feature_store.settings import Settings

# Bytes that several sources sent lie with the first of them.
_TO_MOVE = """
select p.sha256, p.content, (select min(f.source) from raw.fetches as f where f.sha256 = p.sha256)
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


def move_payloads(conn: psycopg.Connection, settings: Settings) -> Moved:
    """Move all landed bytes to `{uri}/_payloads/{source}/{aa}/{sha256}.zst`, a few at a time, each batch committed.

    The database lets go of bytes only after they were read back from S3 and have their hash. Raises ArchiveError when
    S3 is away or gives back other bytes: what is not moved stays where it is, for the next run.
    """
    bucket = open_bucket(settings)
    moved, last = Moved(), ""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while batch := conn.execute(_TO_MOVE, (last, CONNECTIONS)).fetchall():
            conn.commit()
            uris = list(pool.map(partial(_move, bucket), *zip(*batch, strict=True)))
            with conn.transaction():
                conn.cursor().executemany(
                    "update raw.payloads set uri = %s, content = null where sha256 = %s",
                    [(uri, sha256) for uri, (sha256, _, _) in zip(uris, batch, strict=True)],
                )
            last = batch[-1][0]
            moved = Moved(moved.payloads + len(batch), moved.size_bytes + sum(len(content) for _, content, _ in batch))
    conn.commit()
    return moved


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
    return unpacked(open_bucket(settings).get(uri) if content is None else content, sha256, uri or "raw.payloads")


def _move(bucket: Bucket, sha256: str, content: bytes, source: str) -> str:
    key = f"_payloads/{source}/{sha256[:2]}/{sha256}.zst"
    bucket.put(key, content)
    uri = bucket.uri(key)
    unpacked(bucket.get(uri), sha256, uri)
    return uri


def unpacked(content: bytes, sha256: str, place: str) -> bytes:
    """The answer of stored bytes; raises ArchiveError when it does not have its hash."""
    try:
        answer = zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ArchiveError(f"the bytes at {place} are not what was written: {error} (answer {sha256})") from None
    if digest_of(answer).hexdigest() != sha256:
        raise ArchiveError(f"the bytes at {place} do not have the hash {sha256}: they were changed or damaged")
    return answer
