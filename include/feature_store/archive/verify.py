"""Reading the whole archive again: is everything there, and is it what was written?"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256 as digest_of
from itertools import groupby
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.archive.history import History, open_history
from feature_store.archive.payloads import unpacked
from feature_store.archive.s3 import CONNECTIONS, Bucket, open_bucket
from feature_store.archive.versions import DAY, midnight, read_days, retired_days
from feature_store.errors import ArchiveError
from feature_store.settings import Settings
from feature_store.warehouse.versions import VERSIONS, Hot, digests, open_hot

EXPIRY = timedelta(days=365)
"""After this the lifecycle of the bucket removes an exported file."""

_YEARS = sql.SQL(
    """select feature_id,
         coalesce(date_trunc('year', year), '0001-01-01 00:00Z') as since,
         coalesce(date_trunc('year', year) + interval '1 year', '9999-01-01 00:00Z') as until
       from (
         select distinct feature_id, case grain when 'intraday' then date_trunc('year', ts) end as year
         from features.features_versions
       ) as years
       order by feature_id, since"""
)

Progress = Callable[[str], None]


@dataclass
class Verified:
    """What was read again, and what is wrong with it, in words."""

    files: int = 0
    expired_files: int = 0
    versions: int = 0
    """Versions that lie in Postgres and in the history, the same in both."""
    retired_versions: int = 0
    """Versions that lie in the history alone, as they were when they left Postgres."""
    payloads: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.files} files ({self.expired_files} expired), {self.versions} versions here and in the history, "
            f"{self.retired_versions} in the history alone, {self.payloads} payloads: {len(self.problems)} problems"
        )


def verify(conn: psycopg.Connection, settings: Settings, progress: Progress = lambda _: None) -> Verified:
    """Read every exported file, every version and every payload again; changes nothing.

    Raises ArchiveError when S3 is away. What is missing or differs is in `problems`.
    """
    found = Verified()
    bucket = open_bucket(settings)
    _verify_files(conn, bucket, found)
    progress(str(found))
    with open_hot(settings.postgres_dsn) as hot, open_history(settings) as history:
        _verify_history(hot, history, found)
        progress(str(found))
        _verify_retired(conn, history, found)
        progress(str(found))
    _verify_payloads(conn, bucket, found)
    return found


def _verify_files(conn: psycopg.Connection, bucket: Bucket, found: Verified) -> None:
    files = conn.execute("select uri, sha256, exported_at from ops.exported_files order by uri").fetchall()
    conn.commit()
    expired_before = bucket.now() - EXPIRY
    for (uri, sha256, exported_at), content in _read_all(bucket, files):
        if content is not None:
            found.files += 1
            if digest_of(content).hexdigest() != sha256:
                found.problems.append(f"{uri} was changed: it does not have the hash {sha256}")
        elif exported_at < expired_before:
            found.expired_files += 1
        else:
            found.problems.append(f"{uri} is missing: nothing there expires within {EXPIRY.days} days")


def _verify_payloads(conn: psycopg.Connection, bucket: Bucket, found: Verified) -> None:
    payloads = conn.execute(
        "select uri, sha256 from raw.payloads where uri is not null and expired_at is null order by uri"
    ).fetchall()
    conn.commit()
    for (uri, sha256), content in _read_all(bucket, payloads):
        try:
            if content is None:
                if _has_expired(conn, sha256):
                    continue
                raise ArchiveError(f"{uri} is missing")
            found.payloads += 1
            unpacked(content, sha256, uri)
        except ArchiveError as error:
            found.problems.append(str(error))


def _has_expired(conn: psycopg.Connection, sha256: str) -> bool:
    """Whether the bytes were let go since the list of what to verify was made."""
    row = conn.execute("select expired_at is not null from raw.payloads where sha256 = %s", (sha256,)).fetchone()
    conn.commit()
    return row == (True,)


def _read_all(bucket: Bucket, rows: list[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], bytes | None]]:
    """Each row with what lies at its URI, a bounded number at once."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(0, len(rows), CONNECTIONS):
            some = rows[start : start + CONNECTIONS]
            yield from zip(some, pool.map(bucket.find, [row[0] for row in some]), strict=True)


def _verify_history(hot: Hot, history: History, found: Verified) -> None:
    """What Postgres holds and the history has read must be the same in both."""
    for feature, since, until in _spans(hot):
        held = hot.read([feature], since, until).read_all()
        held = held.filter(pc.field("xid") < history.done_xid)
        archived = history.read([feature], since, until).read_all()
        archived = archived.append_column("day", archived["ts"].cast(pa.date32()))
        archived = archived.join(retired_days(hot, [feature]), ["feature_id", "day"], join_type="left anti")
        [(here, sha256)] = digests(held, [feature]).values()
        [(there, archived_sha256)] = digests(archived.select(VERSIONS.names), [feature]).values()
        found.versions += here
        if sha256 != archived_sha256:
            found.problems.append(
                f"{feature} from {since:%Y-%m-%d}: {here} versions in Postgres, {there} in the history, and they differ"
            )


def _spans(hot: Hot) -> Iterator[tuple[str, datetime, datetime]]:
    """What is compared at once: a year of an intraday feature, everything of a daily one."""
    rows = hot.ask(_YEARS).read_all().to_pylist()
    for row in rows:
        yield row["feature_id"], row["since"], row["until"]


def _verify_retired(conn: psycopg.Connection, history: History, found: Verified) -> None:
    """What left Postgres must be in the history as it was noted then."""
    retired = conn.execute(
        "select feature_id, day, rows, sha256 from ops.retired_days where sha256 is not null order by feature_id, day"
    ).fetchall()
    conn.commit()
    for (feature, _), month in groupby(retired, key=lambda row: (row[0], row[1].replace(day=1))):
        noted = list(month)
        days = pa.table({"feature_id": [feature] * len(noted), "day": pa.array([row[1] for row in noted], pa.date32())})
        rows = pa.Table.from_batches(read_days(history, days), VERSIONS)
        for _, day, count, sha256 in noted:
            of_day = rows.filter((pc.field("ts") >= midnight(day)) & (pc.field("ts") < midnight(day) + DAY))
            [(there, archived_sha256)] = digests(of_day, [feature]).values()
            found.retired_versions += there
            if sha256 != archived_sha256:
                found.problems.append(
                    f"{feature} on {day}: {count} versions were retired, the history has {there}, and they differ"
                )
