"""A store with an archive for a test: points in by the one writer, files out of a bucket of its own."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from feature_store.archive import Exported, export, set_up
from feature_store.settings import Settings
from feature_store.stack.s3 import S3
from feature_store.stack.supervision import Supervisor

A, B = "t/a", "t/b"
LEARNED = "2024-06-01"

COLUMNS = """feature_id text, version int, grain text, ts timestamptz, value double precision, available_at timestamptz,
  available_basis text, is_provisional boolean, confidence double precision, meta jsonb, evidence jsonb"""


@dataclass(frozen=True)
class Server:
    """The S3 server of the session, which a test may stop and start."""

    s3: S3
    supervisor: Supervisor

    def start(self) -> None:
        self.supervisor.start("s3")
        self.supervisor.wait("s3", self.s3.is_ready, 60)

    def stop(self) -> None:
        self.supervisor.stop("s3")


@dataclass(frozen=True)
class Point:
    """One candidate; a value of None withdraws."""

    ts: str
    value: float | None = 1.0
    feature: str = A
    version: int = 1
    available_at: str = LEARNED
    meta: dict[str, Any] = field(default_factory=dict)
    evidence: Sequence[dict[str, Any]] = ()

    def row(self) -> tuple[object, ...]:
        return (
            self.feature, self.version, "intraday", self.ts, self.value, self.available_at, "vintage", False, 0.97,
            json.dumps(self.meta), json.dumps(list(self.evidence)),
        )  # fmt: skip


@dataclass(frozen=True)
class Store:
    """One database, one bucket."""

    conn: psycopg.Connection
    settings: Settings
    server: Server

    @property
    def bucket(self) -> str:
        return urlsplit(self.settings.export_s3_uri).netloc

    def set_up(self) -> None:
        set_up(self.settings)

    def append(self, *points: Point, commit: bool = True) -> None:
        """Append through the one writer."""
        self.conn.execute(f"create temp table batch ({COLUMNS}) on commit drop")
        with self.conn.cursor().copy("copy batch from stdin") as copy:
            for point in points:
                copy.write_row(point.row())
        self.conn.execute("select features.append_versions('batch')")
        if commit:
            self.conn.commit()

    def export(self, **changed: object) -> Exported:
        """Export, perhaps with other settings."""
        settings = Settings(**{**self.settings.model_dump(by_alias=True, exclude_unset=True), **changed})
        with psycopg.connect(self.settings.postgres_dsn, options="-c timezone=UTC") as conn:
            return export(conn, settings)

    def beside(self, conn: psycopg.Connection) -> "Store":
        """The same store over another connection."""
        return replace(self, conn=conn)

    def dirty(self) -> set[tuple[str, str]]:
        rows = self.conn.execute("select feature_id, day::text from ops.dirty_days").fetchall()
        self.conn.commit()
        return set(rows)

    def mark_all(self) -> None:
        """As if every exported day had changed."""
        self.conn.execute("insert into ops.dirty_days select feature_id, day from ops.exported_files")
        self.conn.commit()

    def ledger(self) -> list[tuple[object, ...]]:
        rows = self.conn.execute(
            "select feature_id, day::text, uri, sha256, rows, size_bytes from ops.exported_files order by 1, 2"
        ).fetchall()
        self.conn.commit()
        return rows

    def files(self) -> dict[str, bytes]:
        """Every current object."""
        held = self.server.s3.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {item["Key"]: self.get(item["Key"]) for item in held}

    def get(self, key: str) -> bytes:
        return self.server.s3.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def writes(self) -> dict[str, int]:
        """How many times each object was written, by the bucket's versions."""
        held = self.server.s3.client().list_object_versions(Bucket=self.bucket).get("Versions", [])
        keys = [item["Key"] for item in held]
        return {key: keys.count(key) for key in keys}

    def markers(self) -> set[str]:
        """Objects that were deleted at some time."""
        held = self.server.s3.client().list_object_versions(Bucket=self.bucket).get("DeleteMarkers", [])
        return {item["Key"] for item in held}

    def values(self) -> dict[str, list[float]]:
        """The values of every file, in order."""
        return {key: table(content)["value"].to_pylist() for key, content in self.files().items()}


def key(day: str, feature: str = A) -> str:
    return f"{feature}/dt={day}/part-0.parquet"


def table(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
