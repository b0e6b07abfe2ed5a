"""A store with an archive for a test: points in by the one writer, files out of a bucket of its own."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from feature_store import clock
from feature_store.archive import Exported, Retired, commit_history, export, open_history, open_versions, retire, set_up
from feature_store.archive.content import content_hash
from feature_store.archive.history import Progress
from feature_store.catalog import Catalog, load_catalog
from feature_store.settings import Settings
from feature_store.stack.s3 import S3
from feature_store.stack.supervision import Supervisor
from feature_store.warehouse.versions import KEY, VERSIONS, open_hot

if TYPE_CHECKING:
    from pyiceberg.table import Table

Row = tuple[Any, ...]
"""A version: the columns of VERSIONS."""

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
        self.supervisor.wait("s3", self._gives_back, 60)

    def stop(self) -> None:
        self.supervisor.stop("s3")

    def _gives_back(self) -> bool:
        """Whether it reads what it held before: a little later than it answers."""
        if not self.s3.is_ready():
            return False
        client = self.s3.client()
        try:
            client.get_object(Bucket="held", Key="before")["Body"].read()
        except client.exceptions.NoSuchBucket:  # the first start
            client.create_bucket(Bucket="held")
            client.put_object(Bucket="held", Key="before", Body=b"x" * 4096)
        except (BotoCoreError, ClientError):
            return False
        return True


@dataclass(frozen=True)
class Point:
    """One candidate; a value of None withdraws."""

    ts: str
    value: float | None = 1.0
    feature: str = A
    version: int = 1
    available_at: str = LEARNED
    grain: str = "intraday"
    meta: dict[str, Any] = field(default_factory=dict)
    evidence: Sequence[dict[str, Any]] = ()

    def row(self) -> tuple[object, ...]:
        return (
            self.feature, self.version, self.grain, self.ts, self.value, self.available_at, "vintage", False, 0.97,
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
        self.conn.execute("drop table if exists pg_temp.batch")
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

    @property
    def folder(self) -> str:
        """Where its keys begin: nothing, or a path and a slash."""
        path = urlsplit(self.settings.export_s3_uri).path.strip("/")
        return f"{path}/" if path else ""

    def files(self) -> dict[str, bytes]:
        """Every current object, by its key below the folder."""
        held = self.server.s3.client().list_objects_v2(Bucket=self.bucket, Prefix=self.folder).get("Contents", [])
        keys = [item["Key"].removeprefix(self.folder) for item in held]
        return {key: self.get(key) for key in keys}

    def get(self, key: str) -> bytes:
        return self.server.s3.client().get_object(Bucket=self.bucket, Key=self.folder + key)["Body"].read()

    def writes(self) -> dict[str, int]:
        """How many times each object was written, by the bucket's versions."""
        held = self.server.s3.client().list_object_versions(Bucket=self.bucket, Prefix=self.folder).get("Versions", [])
        keys = [item["Key"].removeprefix(self.folder) for item in held]
        return {key: keys.count(key) for key in keys}

    def markers(self) -> set[str]:
        """Objects that were deleted at some time."""
        answer = self.server.s3.client().list_object_versions(Bucket=self.bucket, Prefix=self.folder)
        return {item["Key"].removeprefix(self.folder) for item in answer.get("DeleteMarkers", [])}

    def values(self) -> dict[str, list[float]]:
        """The values of every file, in order."""
        return {key: table(content)["value"].to_pylist() for key, content in self.files().items()}

    def at(self, moment: str) -> None:
        """Freeze the clock."""
        clock.freeze(self.conn, instant(moment))

    def commit_history(self, progress: Progress | None = None) -> int:
        return commit_history(self.conn, self.settings, progress)

    def retire(self, catalog: Catalog | None = None, *, dry_run: bool = False) -> Retired:
        """Retention, after an export, of days more than FEATURE_STORE_RETENTION_DAYS old."""
        if not dry_run:
            self.export()
        return retire(self.conn, self.settings, catalog or load_catalog(), dry_run=dry_run)

    def versions(self) -> list[Row]:
        """Every version there is, wherever it lies."""
        with open_versions(self.settings) as versions:
            return rows(versions.read().read_all())

    def hot(self) -> list[Row]:
        """The versions that lie in Postgres."""
        with open_hot(self.settings.postgres_dsn) as hot:
            return rows(hot.read().read_all())

    def archived(self) -> list[Row]:
        """The versions that lie in the history."""
        with open_history(self.settings) as history:
            return rows(history.read().read_all())

    def hash(self) -> str:
        self.conn.commit()
        return content_hash(self.settings)

    def retired(self) -> set[tuple[str, str]]:
        """Which days of which features lie in the history alone."""
        held = self.conn.execute("select feature_id, day::text from ops.retired_days").fetchall()
        self.conn.commit()
        return set(held)

    def tables(self) -> set[str]:
        """The partitions, and what stands aside."""
        held = self.conn.execute(
            "select tablename from pg_tables where schemaname = 'features' and tablename ~ '_[0-9]{4,}$'"
        ).fetchall()
        self.conn.commit()
        return {name for (name,) in held}

    @contextmanager
    def iceberg(self) -> Iterator["Table"]:
        """The table of the history as pyiceberg has it: to tamper with."""
        with open_history(self.settings) as history:
            assert history.table is not None
            yield history.table

    @contextmanager
    def dying(self, table: str, event: str = "insert or update or delete", when: str = "true") -> Iterator[None]:
        """Whoever writes to a table dies there: the block has to raise that."""
        self.conn.rollback()
        self.conn.execute(
            f"""create function ops.die() returns trigger language plpgsql as $$ begin raise 'killed'; end $$;
                create trigger die before {event} on {table} for each row when ({when}) execute function ops.die()"""
        )
        self.conn.commit()
        try:
            yield
        finally:
            self.conn.rollback()
            self.conn.execute("drop function ops.die() cascade")
            self.conn.commit()


def key(day: str, feature: str = A) -> str:
    return f"{feature}/dt={day}/part-0.parquet"


def table(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def rows(versions: pa.Table) -> list[Row]:
    """Versions in the order of their key."""
    places = [VERSIONS.get_field_index(name) for name in KEY]
    columns = [column.to_pylist() for column in versions.select(VERSIONS.names).columns]
    return sorted(zip(*columns, strict=True), key=lambda row: [row[place] for place in places])


def empty(conn: psycopg.Connection) -> None:
    """Make a database as it was when it was made; the clock is real again."""
    kept = "tablename <> all (array['clock', 'migrations'])"
    made = conn.execute(
        "select format('drop table features.%I', tablename) from pg_tables where schemaname = 'features'"
        " and tablename ~ '_[0-9]{4,}$'"
    ).fetchall()
    for (statement,) in made:
        conn.execute(statement)
    held = conn.execute(
        f"""select string_agg(format('%I.%I', schemaname, tablename), ', ') from pg_tables
            where schemaname in ('raw', 'features', 'ops', 'quality') and {kept}"""
    ).fetchone()
    assert held is not None
    conn.execute(f"truncate {held[0]} cascade")
    conn.commit()
    clock.release(conn)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
