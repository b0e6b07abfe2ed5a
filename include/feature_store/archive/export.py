"""Batch export: `{uri}/{feature_id}/dt=YYYY-MM-DD/part-0.parquet`, one file per feature and UTC day.

What S3 holds follows what is known today: the same points, the same bytes; a day without points has no file. Only days
marked dirty are looked at, and only files whose bytes differ are written. Points are those of
`features.features_values`, or of the history where a day is retired.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import islice

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.archive.evidence import Evidence
from feature_store.archive.history import History, open_history
from feature_store.archive.point_file import COLUMNS, Points, point_file, replaced
from feature_store.archive.progress import reached, real_now
from feature_store.archive.s3 import CONNECTIONS, EXPORT_TAG, Bucket, open_bucket
from feature_store.archive.versions import midnight
from feature_store.errors import ArchiveError
from feature_store.settings import Settings
from feature_store.warehouse.connection import connect
from feature_store.warehouse.versions import newest_of_each

SPAN = timedelta(days=64)
"""How many days one query reads: few enough for the database to sort in memory, whatever a store holds."""

NOTED_AT_ONCE = 256

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Exported:
    """What an export did with the dirty days: `rows` and `size_bytes` are those of the written files."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    rows: int = 0
    size_bytes: int = 0

    @property
    def days(self) -> int:
        """How many feature days were looked at."""
        return self.written + self.unchanged + self.removed

    def __add__(self, other: "Exported") -> "Exported":
        return Exported(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.written} files written ({self.rows} rows, {self.size_bytes} bytes), "
            f"{self.unchanged} unchanged, {self.removed} without points"
        )


@dataclass(frozen=True)
class Day:
    """A dirty day as the snapshot saw it: `mark` is the transaction that last changed it."""

    feature_id: str
    day: date
    mark: str
    uri: str | None
    sha256: str | None
    is_retired: bool

    @property
    def key(self) -> str:
        """Where its file lies, below the archive's folder."""
        return f"{self.feature_id}/dt={self.day}/part-0.parquet"


File = tuple[Day, pa.Table | None, pa.DictionaryArray | None]
"""A day, its points in order of ts, and their evidence as readers get it; None without points."""


@dataclass(frozen=True)
class Settled:
    """A day whose file is as it should be; `file` is (uri, sha256, rows, size, exported_at), None without points."""

    day: Day
    file: tuple[str, str, int, int, datetime] | None = field(default=None)
    did: Exported = Exported()


def export(conn: psycopg.Connection, settings: Settings, progress: Progress | None = None) -> Exported:
    """Write the files of all dirty days, from one snapshot; commits on `conn` as files arrive.

    A second export at the same time waits for the first. A day written to meanwhile stays dirty. Raises ArchiveError
    when S3 is away or refuses: what arrived is noted, every other day stays dirty for the next run.
    `progress` is told (days done, days in all).
    """
    conn.commit()
    bucket = open_bucket(settings)
    with connect(settings.postgres_dsn, autocommit=True) as reader:
        reader.prepare_threshold = None  # the planner must see the dates to skip partitions
        reader.execute("select pg_advisory_lock(hashtext('ops.exported_files'))")  # falls with the connection
        _mark_elsewhere(conn, bucket)
        began = real_now(reader)
        reader.execute("begin isolation level repeatable read read only")
        days = _dirty_days(reader)
        total, failures = Exported(), list[Exception]()
        outcomes = _settle_all(_files(reader, settings, Evidence(conn), days), bucket, settings.parquet_compression)
        while batch := list(islice(outcomes, NOTED_AT_ONCE)):
            settled = [outcome for outcome in batch if isinstance(outcome, Settled)]
            failures += [outcome for outcome in batch if isinstance(outcome, Exception)]
            _note(conn, settled)
            total = sum((outcome.did for outcome in settled), total)
            if progress is not None:
                progress(total.days, len(days))
    if failures:
        raise failures[0]
    reached(conn, "parquet", began)
    return total


def _mark_elsewhere(conn: psycopg.Connection, bucket: Bucket) -> None:
    """After a change of FEATURE_STORE_EXPORT_S3_URI every file is wanted at the new place."""
    conn.execute(
        """insert into ops.dirty_days (feature_id, day)
           select feature_id, day from ops.exported_files where not starts_with(uri, %s) on conflict do nothing""",
        (bucket.uri(""),),
    )
    conn.commit()


def _dirty_days(reader: psycopg.Connection) -> list[Day]:
    rows = reader.execute(
        """select d.feature_id, d.day, d.marked_xid::text, f.uri, f.sha256, r.day is not null
           from ops.dirty_days as d
           left join ops.exported_files as f using (feature_id, day)
           left join ops.retired_days as r using (feature_id, day)
           order by d.feature_id, d.day"""
    )
    return [Day(*row) for row in rows]


def _files(reader: psycopg.Connection, settings: Settings, evidence: Evidence, days: Sequence[Day]) -> Iterator[File]:
    """Each dirty day with its points and their evidence, expanded; one query a span, one day in memory."""
    for span in _spans([day for day in days if not day.is_retired]):
        waiting = {day.day: day for day in span}
        for points in _read(reader, span):
            yield _file(waiting.pop(points.day), points.table(), evidence)
        for day in waiting.values():
            yield day, None, None
    retired = [day for day in days if day.is_retired]
    if retired:
        with open_history(settings) as history:
            for day in retired:
                yield _file(day, _read_retired(history, day), evidence)


def _file(day: Day, points: pa.Table, evidence: Evidence) -> File:
    column = points["evidence"].combine_chunks().dictionary_encode()
    return day, points, replaced(column, evidence.expand(column.dictionary.to_pylist()))


def _read_retired(history: History, day: Day) -> pa.Table:
    """The points of a day that lies in the history alone; ArchiveError when it has none, for then it had some."""
    rows = history.read([day.feature_id], midnight(day.day), midnight(day.day) + timedelta(days=1)).read_all()
    newest = rows.filter(pc.field("version") == pc.max(rows["version"]))
    points = newest_of_each(newest)
    if not points.num_rows:
        raise ArchiveError(f"the history has nothing of {day.feature_id} on {day.day}, which was retired into it")
    return points.filter(pc.field("value").is_valid())


def _spans(days: Sequence[Day]) -> Iterator[list[Day]]:
    span: list[Day] = []
    for day in days:
        if span and (day.feature_id != span[0].feature_id or day.day >= span[0].day + SPAN):
            yield span
            span = []
        span.append(day)
    if span:
        yield span


def _read(reader: psycopg.Connection, span: Sequence[Day]) -> Iterator[Points]:
    query = f"""
        select feature_id, day, {COLUMNS}
        from (
          select *, (ts at time zone 'UTC')::date as day
          from features.features_values
          where feature_id = %s and ts >= %s and ts < %s
        ) as points
        where day = any(%s)
        group by feature_id, day"""  # noqa: S608 - no value of anybody's
    since, until = (datetime.combine(end, time(), UTC) for end in (span[0].day, span[-1].day + timedelta(days=1)))
    values = (span[0].feature_id, since, until, [day.day for day in span])
    with reader.cursor() as cursor:
        for row in cursor.stream(query.encode(), values, binary=True):
            yield Points(*row)


def _settle_all(files: Iterator[File], bucket: Bucket, compression: str) -> Iterator[Settled | Exception]:
    """Each day once its file is as it should be, a bounded number at once; the first failures end it."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        flying: deque[Future[Settled]] = deque()
        failed = False
        while True:
            for file in islice(files, 0 if failed else CONNECTIONS - len(flying)):
                flying.append(pool.submit(_settle, bucket, compression, *file))
            if not flying:
                return
            future = flying.popleft()
            error = future.exception()
            failed = failed or error is not None
            if isinstance(error, Exception):
                yield error
            else:
                yield future.result()


def _settle(
    bucket: Bucket, compression: str, day: Day, points: pa.Table | None, evidence: pa.DictionaryArray | None
) -> Settled:
    """Bring the file of one day to what the snapshot holds; one atomic request, or none."""
    if points is None or not points.num_rows:
        bucket.remove(day.key)
        return Settled(day, None, Exported(removed=1))
    content, rows = point_file(day.feature_id, points, evidence, compression), points.num_rows
    digest, uri = sha256(content).hexdigest(), bucket.uri(day.key)
    if (day.uri, day.sha256) == (uri, digest):
        return Settled(day, None, Exported(unchanged=1))
    exported_at = bucket.put(day.key, content, EXPORT_TAG)
    file = (uri, digest, rows, len(content), exported_at)
    return Settled(day, file, Exported(written=1, rows=rows, size_bytes=len(content)))


def _note(conn: psycopg.Connection, batch: Sequence[Settled]) -> None:
    """Commit what S3 holds now; a day is clean unless somebody changed it, or is changing it, since the snapshot."""
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            """insert into ops.exported_files as f
                 (feature_id, day, uri, sha256, rows, size_bytes, exported_at) values (%s, %s, %s, %s, %s, %s, %s)
               on conflict (feature_id, day) do update set
                 uri = excluded.uri, sha256 = excluded.sha256, rows = excluded.rows, size_bytes = excluded.size_bytes,
                 exported_at = excluded.exported_at""",
            [(item.day.feature_id, item.day.day, *item.file) for item in batch if item.file is not None],
        )
        gone = [item.day for item in batch if item.did.removed]
        cursor.execute(
            "delete from ops.exported_files where (feature_id, day) in (select * from unnest(%s::text[], %s::date[]))",
            ([day.feature_id for day in gone], [day.day for day in gone]),
        )
        days = [item.day for item in batch]
        cursor.execute(
            """with clean as (
                 select d.feature_id, d.day
                 from ops.dirty_days as d
                 join unnest(%s::text[], %s::date[], %s::xid8[]) as seen (feature_id, day, mark)
                   on seen.feature_id = d.feature_id and seen.day = d.day and seen.mark = d.marked_xid
                 for update of d skip locked
               )
               delete from ops.dirty_days as d using clean
               where d.feature_id = clean.feature_id and d.day = clean.day""",
            ([day.feature_id for day in days], [day.day for day in days], [day.mark for day in days]),
        )
    conn.commit()
