"""The history: an Apache Iceberg table of all point versions at `{uri}/_history`, append-only but for being tidied.

Its catalog is in Postgres (`ops.iceberg_tables`). How far it has read is a property of the table and changes in the
same commit as its rows, so a commit that is repeated after a crash adds nothing twice. One process writes at a time.
https://iceberg.apache.org/spec/, https://py.iceberg.apache.org
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import stamina
from psycopg import sql

from feature_store.archive.progress import measure_history, reached, real_now
from feature_store.archive.s3 import open_bucket
from feature_store.errors import ArchiveError, Overtaken
from feature_store.settings import Settings
from feature_store.warehouse.assessments import ASSESSMENTS
from feature_store.warehouse.versions import INSTANT, VERSIONS, open_hot

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

log = logging.getLogger(__name__)

NAME = "feature_store.features_versions"
FILE_ROWS = 250_000
"""Rows of a file at most: what is held in memory at once."""

_DONE = "feature-store.done-xid"
_PROPERTIES = {
    "write.parquet.row-group-limit": "8192",  # a day of a feature in minutes is a fifth of a month's group
    "write.parquet.compression-codec": "zstd",
    "write.metadata.metrics.column.feature_id": "full",  # cut off, two features' bounds would be one
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.retry.num-retries": "0",  # a commit that lost a race reads anew what it has to add
}

_LIMIT = sql.SQL("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xid")

Progress = Callable[[int], None]


@dataclass(frozen=True)
class NamedSnapshot:
    """The history as it was at one commit, under a name; instants are UTC, real time."""

    name: str
    committed_at: datetime
    versions: int


@dataclass(frozen=True)
class History:
    """The table as one reader or writer has it open. Rows are those of VERSIONS; no method says in which order."""

    table: "Table | None"
    """None before the first commit."""
    catalog: "SqlCatalog"
    settings: Settings
    snapshot_id: int | None = None
    """What it reads: a named snapshot, or the newest commit."""

    @property
    def done_xid(self) -> int:
        """Versions of transactions below this id are in the history; 0 before the first commit."""
        return 0 if self.table is None else int(self.table.properties.get(_DONE, 0))

    def read(
        self,
        features: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Collection[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Versions with since <= ts < until of some features, or all, as they arrive; ArchiveError when S3 is away."""
        names = [name for name in VERSIONS.names if columns is None or name in columns]
        schema = pa.schema([VERSIONS.field(name) for name in names])
        if self.table is None:
            return pa.RecordBatchReader.from_batches(schema, ())
        scan = self.table.scan(
            row_filter=_condition(features, since, until),
            selected_fields=tuple(names),
            snapshot_id=self.snapshot_id,
        )

        def batches() -> Iterator[pa.RecordBatch]:
            with asking(self.settings, "read"):
                for batch in scan.to_arrow_batch_reader():
                    yield batch.select(names).cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def features(self) -> list[str]:
        """The features that have versions."""
        found = {
            name for batch in self.read(columns=["feature_id"]) for name in batch["feature_id"].unique().to_pylist()
        }
        return sorted(found)

    def archived_quarters(self, feature: str) -> list[datetime]:
        """The quarters in which the feature may have versions."""
        if self.table is None:
            return []
        files = self.table.scan(_condition([feature], None, None), snapshot_id=self.snapshot_id).plan_files()
        return sorted({quarter_of(month_of(task.file.partition[0])) for task in files})

    def definitions(self, feature: str) -> list[int]:
        """None is known without reading rows."""
        return []

    def mark(self, feature: str) -> object:
        """The commit that is read: nothing is ever added to it."""
        return self.snapshot_id

    def assessments(
        self,
        feature: str,
        since: datetime | None = None,
        until: datetime | None = None,
        assessed_by: datetime | None = None,
    ) -> pa.Table:
        """None: it has the confidence at ingest, so that a snapshot answers the same next year."""
        return ASSESSMENTS.empty_table()

    def at(self, snapshot: str) -> "History":
        """The history as it was when it got that name; ArchiveError when there is no such snapshot."""
        return replace(self, snapshot_id=self._snapshot_id(snapshot))

    def snapshots(self) -> list[NamedSnapshot]:
        """The named snapshots, oldest first."""
        if self.table is None:
            return []
        found = []
        for name, ref in self.table.refs().items():
            snapshot = self.table.snapshot_by_id(ref.snapshot_id)
            if ref.snapshot_ref_type == "tag" and snapshot is not None:
                rows = int((snapshot.summary or {}).get("total-records") or 0)
                found.append(NamedSnapshot(name, datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC), rows))
        return sorted(found, key=lambda item: (item.committed_at, item.name))

    def name_snapshot(self, name: str) -> NamedSnapshot:
        """Keep the newest commit under a name; raises ArchiveError when the name will not do, or nothing is there."""
        if not name.strip():
            raise ArchiveError("a snapshot needs a name, for example research-2026-11")
        newest = None if self.table is None else self.table.current_snapshot()
        if self.table is None or newest is None:
            raise ArchiveError(
                "the history is empty: there is nothing to name. `feature-store archive history` fills it"
            )
        if name in self.table.refs():
            raise ArchiveError(f"there is a snapshot {name!r} already: choose another name, or drop that one")
        with asking(self.settings, "name a snapshot of"):
            self.table.manage_snapshots().create_tag(newest.snapshot_id, name).commit()
        return next(snapshot for snapshot in self.snapshots() if snapshot.name == name)

    def drop_snapshot(self, name: str) -> None:
        """Forget a name; its files go when nothing else needs them. Raises ArchiveError when there is none."""
        self._snapshot_id(name)
        assert self.table is not None
        with asking(self.settings, "drop a snapshot of"):
            self.table.manage_snapshots().remove_tag(name).commit()

    def _snapshot_id(self, name: str) -> int:
        refs = {} if self.table is None else self.table.refs()
        if name not in refs or refs[name].snapshot_ref_type != "tag":
            known = ", ".join(snapshot.name for snapshot in self.snapshots()) or "none yet"
            raise ArchiveError(f"there is no snapshot {name!r}; there are: {known}")
        return int(refs[name].snapshot_id)


@contextmanager
def open_history(settings: Settings) -> Iterator[History]:
    """The history as its newest commit has it; raises ArchiveError when S3 or the catalog is away."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import NoSuchTableError

    with asking(settings, "open"):
        catalog = SqlCatalog("feature_store", **_catalog_properties(settings))
    try:
        with asking(settings, "open"):
            try:
                table = catalog.load_table(NAME)
            except NoSuchTableError:
                table = None
        yield History(table, catalog, settings)
    finally:
        catalog.engine.dispose()


@contextmanager
def writing(conn: psycopg.Connection) -> Iterator[None]:
    """Be the only writer of the history, and the only one who retires and restores; ends the open transaction."""
    conn.commit()
    conn.execute("select pg_advisory_lock(hashtext('history'))")
    conn.commit()
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext('history'))")
            conn.commit()


def commit_history(conn: psycopg.Connection, settings: Settings, progress: Progress | None = None) -> int:
    """Append the versions that the history lacks, in one commit; returns how many.

    A commit that met another is tried again from its beginning. Raises ArchiveError when S3 is away: nothing is added
    then, and the next run catches up. `progress` is told how many versions are written so far.
    """
    with writing(conn):
        began = real_now(conn)
        for attempt in stamina.retry_context(on=Overtaken, attempts=5):
            with attempt:
                total = _commit(conn, settings, progress)
        measure_history(conn, open_bucket(settings))
        reached(conn, "history", began)
    return total


def _commit(conn: psycopg.Connection, settings: Settings, progress: Progress | None) -> int:
    total = 0
    with open_history(settings) as history, asking(settings, "append to"), open_hot(settings.postgres_dsn) as hot:
        # Rows of transactions below the limit are committed, whatever order they committed in.
        [limit] = hot.ask(_LIMIT).read_all()["xid"].to_pylist()
        window = (history.done_xid, limit)
        months = _months(conn, *window)
        if not months:
            return 0
        table = history.table or _create(history)
        with table.transaction() as transaction:
            for month in months:
                for rows in bundles(hot.read_appended(month, next_month(month), *window)):
                    transaction.append(rows)
                    total += rows.num_rows
                    if progress is not None:
                        progress(total)
            if total:
                transaction.set_properties({_DONE: str(limit)})
    if total:
        conn.execute(
            """insert into ops.watermarks as w (consumer, done_xid, open_xid)
               values ('history', %(xid)s::text::xid8, %(xid)s::text::xid8)
               on conflict (consumer) do update
               set done_xid = excluded.done_xid, open_xid = excluded.open_xid, updated_at = ops.now()""",
            {"xid": limit},
        )
        conn.commit()
    return total


def _create(history: History) -> "Table":
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.sorting import SortField, SortOrder
    from pyiceberg.transforms import IdentityTransform, MonthTransform
    from pyiceberg.types import (
        BooleanType,
        DoubleType,
        IntegerType,
        LongType,
        NestedField,
        StringType,
        TimestamptzType,
    )  # fmt: skip

    types: dict[pa.DataType, Any] = {
        pa.string(): StringType(), pa.int32(): IntegerType(), pa.int64(): LongType(), INSTANT: TimestamptzType(),
        pa.float64(): DoubleType(), pa.bool_(): BooleanType(),
    }  # fmt: skip
    fields = [
        NestedField(number, field.name, types[field.type], required=not field.nullable)
        for number, field in enumerate(VERSIONS, start=1)
    ]
    schema = Schema(*fields)
    feature_id, ts = schema.find_field("feature_id").field_id, schema.find_field("ts").field_id
    history.catalog.create_namespace_if_not_exists(NAME.partition(".")[0])
    return history.catalog.create_table(
        NAME,
        schema,
        location=_location(history.settings),
        partition_spec=PartitionSpec(PartitionField(ts, 1000, MonthTransform(), "ts_month")),
        sort_order=SortOrder(SortField(feature_id, IdentityTransform()), SortField(ts, IdentityTransform())),
        properties=_PROPERTIES,
    )


def _months(conn: psycopg.Connection, done_xid: int, limit: int) -> list[datetime]:
    """The months that may have versions of these transactions."""
    query = (
        "select distinct date_trunc('month', ts) from features.features_versions"
        if done_xid == 0
        else """select distinct date_trunc('month', day::timestamp at time zone 'UTC') from ops.changed_days
                where xid >= %(done)s::text::xid8 and xid < %(limit)s::text::xid8"""
    )
    rows = conn.execute(query, {"done": done_xid, "limit": limit}).fetchall()
    conn.commit()
    return sorted(month for (month,) in rows)


def month_of(number: int) -> datetime:
    """The beginning of a month by its number since 1970, as Iceberg counts."""
    return datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def quarter_of(day: date) -> datetime:
    """The beginning of the quarter, UTC, that a day is of."""
    return datetime(day.year, day.month - (day.month - 1) % 3, 1, tzinfo=UTC)


def next_month(month: datetime) -> datetime:
    """The beginning of the month after one that begins there."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def bundles(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows in tables of FILE_ROWS rows at most, in their order."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, FILE_ROWS):
            piece = batch.slice(start, FILE_ROWS)
            if rows + piece.num_rows > FILE_ROWS:
                yield pa.Table.from_batches(waiting)
                waiting, rows = [], 0
            waiting.append(piece)
            rows += piece.num_rows
    if rows:
        yield pa.Table.from_batches(waiting)


def _condition(features: Sequence[str] | None, since: datetime | None, until: datetime | None) -> "BooleanExpression":
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, In, LessThan

    condition: BooleanExpression = AlwaysTrue()
    if features is not None:
        condition = And(condition, In("feature_id", set(features)))
    if since is not None:
        condition = And(condition, GreaterThanOrEqual("ts", since.astimezone(UTC).isoformat()))
    if until is not None:
        condition = And(condition, LessThan("ts", until.astimezone(UTC).isoformat()))
    return condition


def _location(settings: Settings) -> str:
    return f"{settings.export_s3_uri.rstrip('/')}/_history"


def _catalog_properties(settings: Settings) -> dict[str, str]:
    from sqlalchemy import URL

    place = psycopg.conninfo.conninfo_to_dict(settings.postgres_dsn, options="-c search_path=ops -c timezone=UTC")
    url = URL.create("postgresql+psycopg", query={name: str(value) for name, value in place.items()})
    properties = {
        "uri": url.render_as_string(hide_password=False),
        "init_catalog_tables": "false",
        "warehouse": _location(settings),
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        "s3.connect-timeout": "3",
        "s3.request-timeout": "60",
    }
    if settings.s3_endpoint is None:
        properties |= {
            "s3.access-key-id": settings.secret("s3_access_key"),
            "s3.secret-access-key": settings.secret("s3_secret_key"),
            "s3.region": "us-east-1",
        }
    return properties | {"s3.endpoint": settings.s3_url}


@contextmanager
def asking(settings: Settings, doing: str) -> Iterator[None]:
    """Turn what pyiceberg and pyarrow raise into an ArchiveError with place and remedy."""
    from pyiceberg.exceptions import CommitFailedException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except CommitFailedException as error:
        raise Overtaken(
            f"could not {doing} the history at {_location(settings)}: somebody else changed it at the same time "
            f"({error}). Nothing is lost: try again, or the next run catches up"
        ) from None
    except OSError as error:
        raise ArchiveError(
            f"could not {doing} the history at {_location(settings)} ({settings.s3_url}): {error}. "
            "Nothing is lost: the next run catches up"
        ) from None
    except SQLAlchemyError as error:
        raise ArchiveError(f"could not {doing} the history: its catalog in the database failed: {error}") from None
