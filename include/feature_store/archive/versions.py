"""All point versions, wherever they lie: in Postgres, or, of days that are retired, in the history on S3.

A day of a feature lies wholly in one of them (`ops.retired_days`), so that nothing is read twice.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.archive.history import History, open_history, quarter_of
from feature_store.settings import Settings
from feature_store.warehouse.assessments import last_assessments
from feature_store.warehouse.versions import VERSIONS, Hot, open_hot

DAY = timedelta(days=1)


class VersionReader(Protocol):
    """Where versions are read from."""

    def read(
        self,
        features: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Collection[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Versions with since <= ts < until of some features, or all; `columns` are names of VERSIONS."""
        ...

    def features(self) -> list[str]:
        """The features that may have versions."""
        ...

    def archived_quarters(self, feature: str) -> list[datetime]:
        """The quarters of ts (UTC), by their beginning, of which it may read versions from the history, in order."""
        ...

    def definitions(self, feature: str) -> list[int]:
        """The definition versions that the feature ever had, as far as is known without reading its rows."""
        ...

    def mark(self, feature: str) -> object:
        """Something that changes whenever versions of the feature are added."""
        ...

    def assessments(
        self,
        feature: str,
        since: datetime | None = None,
        until: datetime | None = None,
        assessed_by: datetime | None = None,
    ) -> pa.Table:
        """Of its versions with since <= ts < until the last assessments up to an instant, as ASSESSMENTS."""
        ...


@dataclass(frozen=True)
class EverywhereReader:
    """Hot and archive as one: what one transaction sees of Postgres, and the history of the days that are not in it."""

    hot: Hot
    settings: Settings
    stack: ExitStack
    """Closes what the reader opened."""

    @classmethod
    @contextmanager
    def over(cls, hot: Hot, settings: Settings) -> Iterator[Self]:
        """A reader for as long as the block lasts, which is within the transaction of `hot`."""
        with ExitStack() as stack:
            yield cls(hot, settings, stack)

    @cached_property
    def history(self) -> History:
        """Opened when it is asked first."""
        return self.stack.enter_context(open_history(self.settings))

    def read(
        self,
        features: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Collection[str] | None = None,
    ) -> pa.RecordBatchReader:
        """As VersionReader says. S3 is asked only when a day of the range is retired; ArchiveError when it is away."""
        retired = retired_days(self.hot, features, since, until)
        hot = self.hot.read(features, since, until, columns)
        if not retired.num_rows:
            return hot
        return pa.RecordBatchReader.from_batches(hot.schema, self._both(hot, retired, since, until))

    def features(self) -> list[str]:
        """Every feature that was ever written."""
        rows = self.hot.ask(sql.SQL("select feature_id from ops.feature_writes")).read_all()
        return sorted(rows["feature_id"].to_pylist())

    def archived_quarters(self, feature: str) -> list[datetime]:
        """The quarters with retired days of the feature."""
        return sorted({quarter_of(day) for day in retired_days(self.hot, [feature])["day"].to_pylist()})

    def definitions(self, feature: str) -> list[int]:
        """The definition versions that the catalog ever had of the feature."""
        query = sql.SQL("select distinct version from registry.features_catalog where id = {}").format(feature)
        return sorted(self.hot.ask(query).read_all()["version"].to_pylist())

    def mark(self, feature: str) -> object:
        """When the feature was written to last."""
        query = sql.SQL("select last_ingested_at from ops.feature_writes where feature_id = {}").format(feature)
        written = self.hot.ask(query).read_all()["last_ingested_at"].to_pylist()
        return written[0] if written else None

    def assessments(
        self,
        feature: str,
        since: datetime | None = None,
        until: datetime | None = None,
        assessed_by: datetime | None = None,
    ) -> pa.Table:
        """As VersionReader says: all of them are in Postgres, those of versions that are retired too."""
        return last_assessments(self.hot, feature, since, until, assessed_by)

    def _both(
        self, hot: pa.RecordBatchReader, retired: pa.Table, since: datetime | None, until: datetime | None
    ) -> Iterator[pa.RecordBatch]:
        yield from hot
        yield from read_days(self.history, retired, hot.schema.names, since, until)


def retired_days(
    hot: Hot,
    features: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pa.Table:
    """Which days of which features (feature_id, day) lie in the history alone."""
    conditions = [
        sql.SQL(condition).format(value)
        for condition, value in (
            ("feature_id = any({})", None if features is None else list(features)),
            ("day > {}::timestamptz::timestamp - interval '1 day'", since),
            ("day < {}::timestamptz::timestamp", until),
        )
        if value is not None
    ]
    where = sql.SQL(" and ").join([sql.SQL("true"), *conditions])
    return hot.ask(sql.SQL("select feature_id, day from ops.retired_days where {}").format(where)).read_all()


def read_days(
    history: History,
    days: pa.Table,
    columns: Sequence[str] = tuple(VERSIONS.names),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[pa.RecordBatch]:
    """The history's versions of certain days of features (feature_id, day), within since <= ts < until."""
    if not days.num_rows:
        return
    first, last = (midnight(day.as_py()) for day in pc.min_max(days["day"]).values())
    since, until = max(since or first, first), min(until or last + DAY, last + DAY)
    names = pc.unique(days["feature_id"])
    wanted = pa.concat_arrays(_feature_days(days["feature_id"], days["day"], names).chunks)
    for batch in history.read(names.to_pylist(), since, until, (*columns, "feature_id", "ts")):
        of_batch = _feature_days(batch["feature_id"], batch["ts"].cast(pa.date32()), names)
        yield batch.filter(pc.is_in(of_batch, wanted)).select([name for name in VERSIONS.names if name in columns])


def _feature_days(
    features: pa.Array | pa.ChunkedArray, days: pa.Array | pa.ChunkedArray, names: pa.Array
) -> pa.Array | pa.ChunkedArray:
    """A number for each pair of a feature and a day."""
    return pc.add(pc.multiply(pc.index_in(features, names).cast(pa.int64()), 1 << 32), days.cast(pa.int32()))


@contextmanager
def open_versions(settings: Settings, snapshot: str | None = None) -> Iterator[VersionReader]:
    """All versions as of now, or those of a named snapshot of the history."""
    with ExitStack() as stack:
        if snapshot is not None:
            yield stack.enter_context(open_history(settings)).at(snapshot)
        else:
            hot = stack.enter_context(open_hot(settings.postgres_dsn))
            yield stack.enter_context(EverywhereReader.over(hot, settings))


def midnight(day: date) -> datetime:
    """The beginning of a UTC day."""
    return datetime.combine(day, time(), UTC)
