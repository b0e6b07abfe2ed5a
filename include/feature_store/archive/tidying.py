"""Keeping the history cheap to read and to keep: months that are over are rewritten, files that nothing needs go.

pyiceberg has neither: https://github.com/apache/iceberg-python/issues/1092, /issues/1065.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa

from feature_store import clock
from feature_store.archive.history import (
    FILE_ROWS,
    History,
    asking,
    bundles,
    month_of,
    next_month,
    open_history,
    writing,
)
from feature_store.archive.progress import measure_history
from feature_store.archive.s3 import Bucket, open_bucket
from feature_store.errors import ArchiveError
from feature_store.settings import Settings
from feature_store.warehouse.versions import KEY, VERSIONS

if TYPE_CHECKING:
    from pyiceberg.table import Table

KEPT = timedelta(days=5)
"""How long a commit can be read after the next one: no reader takes longer."""

_SLACK = 2
"""A month is rewritten when it lies in more than so many times the files it needs."""


@dataclass(frozen=True)
class Tidied:
    """Months rewritten, commits expired, files removed."""

    months: int = 0
    commits: int = 0
    files: int = 0

    def __str__(self) -> str:
        return f"{self.months} months rewritten, {self.commits} commits expired, {self.files} files removed"


def tidy_history(conn: psycopg.Connection, settings: Settings, *, kept: timedelta = KEPT) -> Tidied:
    """Rewrite months that are over and lie in many files, expire commits, and remove files that nothing needs.

    Named snapshots keep their files. Commits and files are as old as S3's clock says (real time); a month is over by
    the store's. Raises ArchiveError when S3 is away; what was done stays done.
    """
    months = 0
    with writing(conn):
        with open_history(settings) as history:
            if history.table is None:
                return Tidied()
            over = clock.now(conn).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            for month in _untidy_months(history.table, before=over):
                _rewrite(history, month)
                months += 1
        bucket = open_bucket(settings)
        until = bucket.now() - kept
        with open_history(settings) as history, asking(settings, "tidy"), bucket.asking("sweep the history"):
            assert history.table is not None
            commits = _expire(history.table, until)
            files = _sweep(bucket, history.table, until)
        measure_history(conn, bucket)
    return Tidied(months, commits, files)


def _untidy_months(table: "Table", before: datetime) -> list[datetime]:
    files: dict[datetime, list[int]] = {}
    for task in table.scan().plan_files():
        files.setdefault(month_of(task.file.partition[0]), []).append(task.file.record_count)
    return sorted(
        month for month, rows in files.items() if month < before and len(rows) > _SLACK * -(-sum(rows) // FILE_ROWS)
    )


def _rewrite(history: History, month: datetime) -> None:
    """One commit in which a month lies in few files, in the order of KEY; the same rows, or none is changed."""
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

    assert history.table is not None
    until = next_month(month)
    held = history.read(since=month, until=until, columns=["feature_id"]).read_all()
    features = held["feature_id"].value_counts()
    of_month = And(GreaterThanOrEqual("ts", month.isoformat()), LessThan("ts", until.isoformat()))
    rows = 0
    with asking(history.settings, "rewrite a month of"), history.table.transaction() as transaction:
        transaction.delete(of_month)
        # Over the ends of groups: a file's rest that began anew with each would leave the month as untidy as it was.
        for bundle in bundles(_in_order(history, _groups(features), month, until)):
            transaction.append(bundle)
            rows += bundle.num_rows
        if rows != held.num_rows:
            raise ArchiveError(f"{month:%Y-%m} has {held.num_rows} versions and was read as {rows}: it stays as it is")


def _in_order(history: History, groups: Iterable[list[str]], month: datetime, until: datetime) -> pa.RecordBatchReader:
    """The versions of a month in the order of KEY; what is held in memory is one group's."""
    sort = [(name, "ascending") for name in KEY]
    batches = (
        batch for group in groups for batch in history.read(group, month, until).read_all().sort_by(sort).to_batches()
    )
    return pa.RecordBatchReader.from_batches(VERSIONS, batches)


def _groups(features: pa.Array) -> Iterator[list[str]]:
    """Features, a file's worth of rows at a time."""
    group: list[str] = []
    rows = 0
    for found in sorted(features.to_pylist(), key=lambda item: str(item["values"])):
        if group and rows + found["counts"] > FILE_ROWS:
            yield group
            group, rows = [], 0
        group.append(found["values"])
        rows += found["counts"]
    if group:
        yield group


def _expire(table: "Table", until: datetime) -> int:
    """Forget commits before `until`, but the newest and the named ones."""
    named = {ref.snapshot_id for ref in table.refs().values()}
    expired = [
        snapshot.snapshot_id
        for snapshot in table.snapshots()
        if snapshot.timestamp_ms < until.timestamp() * 1000 and snapshot.snapshot_id not in named
    ]
    if expired:
        table.maintenance.expire_snapshots().by_ids(expired).commit()
    return len(expired)


def _sweep(bucket: Bucket, table: "Table", until: datetime) -> int:
    """Remove what was written before `until` and belongs to no commit any more, or never did."""
    needed = set(_needed(table))
    place = urlsplit(table.location())
    swept = 0
    for page in bucket.client.get_paginator("list_objects_v2").paginate(
        Bucket=place.netloc, Prefix=f"{place.path.lstrip('/')}/"
    ):
        stale = [
            item["Key"]
            for item in page.get("Contents", [])
            if item["LastModified"] < until and f"s3://{place.netloc}/{item['Key']}" not in needed
        ]
        if stale:
            gone = bucket.client.delete_objects(
                Bucket=place.netloc, Delete={"Objects": [{"Key": key} for key in stale], "Quiet": True}
            )
            if gone.get("Errors"):
                raise ArchiveError(f"S3 could not delete {gone['Errors'][0]}: the next run tries again")
        swept += len(stale)
    return swept


def _needed(table: "Table") -> Iterator[str]:
    """Every file that a commit of the table, or its metadata, leads to."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    read = set()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in read:
                read.add(manifest.manifest_path)
                yield manifest.manifest_path
                yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
