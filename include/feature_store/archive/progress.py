"""How far the archive has come, and how much lies there: what its metrics are told from."""

from datetime import datetime
from typing import Literal

import psycopg

from feature_store.archive.s3 import Bucket

HISTORY = "_history/"


def real_now(conn: psycopg.Connection) -> datetime:
    """Real time by the database's clock, UTC: whoever reads from now on sees what was committed before. Commits."""
    row = conn.execute("select ops.real_now()").fetchone()
    conn.commit()
    assert row is not None
    now: datetime = row[0]
    return now


def reached(conn: psycopg.Connection, layer: Literal["parquet", "history"], until: datetime) -> None:
    """Note that what was committed before `until` lies there; commits."""
    conn.execute(
        "update ops.archived_until set until = greatest(until, %s) where layer = %s",
        (until, layer),
    )
    conn.commit()


def measure_history(conn: psycopg.Connection, bucket: Bucket) -> None:
    """Note how many bytes the history has on S3, its metadata and older commits included; commits."""
    size = sum(each["Size"] for each in bucket.objects(HISTORY))
    conn.execute("update ops.layer_sizes set size_bytes = %s where layer = 'history'", (size,))
    conn.commit()
