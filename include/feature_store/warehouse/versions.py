"""Point versions that lie in Postgres, as Arrow: what everything that reads history is made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from feature_store.errors import WarehouseError

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

INSTANT = pa.timestamp("us", tz="UTC")

VERSIONS = pa.schema(
    [
        pa.field("feature_id", pa.string(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),
        pa.field("ts", INSTANT, nullable=False),
        pa.field("value", pa.float64()),
        pa.field("available_at", INSTANT, nullable=False),
        pa.field("available_basis", pa.string(), nullable=False),
        pa.field("ingested_at", INSTANT, nullable=False),
        pa.field("is_provisional", pa.bool_(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field("correction", pa.int32(), nullable=False),
        pa.field("xid", pa.int64(), nullable=False),
    ]
)
"""A row of features.features_versions but for its grain; `meta` and `evidence` are JSON texts, `xid` a number."""

KEY = ("feature_id", "version", "ts", "available_at", "ingested_at")
"""What tells versions apart, and the order they are read in."""

_CAST = {"meta": "meta::text", "evidence": "evidence::text", "xid": "xid::text::bigint"}


@dataclass(frozen=True)
class Hot:
    """The feature tables as one transaction sees them: nothing is retired or brought back before it ends."""

    connection: "Connection"

    def read(
        self,
        features: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Versions with since <= ts < until of some features, or all, in the order of KEY, as they arrive.

        `columns` are names of VERSIONS; the answer has them in its order. Read it to its end before asking again.
        """
        names = [name for name in VERSIONS.names if columns is None or name in columns]
        chosen = ", ".join(f"{_CAST.get(name, name)} as {name}" for name in names)
        where, values = _where(features, since, until)
        query = f"select {chosen} from features.features_versions {where} order by {', '.join(KEY)}"  # noqa: S608 - our own words
        return self.ask(query, values, pa.schema([VERSIONS.field(name) for name in names]))

    def ask(self, query: str, values: Sequence[Any] = (), schema: pa.Schema | None = None) -> pa.RecordBatchReader:
        """The rows of any query, cast to `schema`; values stand for $1, $2, ... raises WarehouseError."""
        import adbc_driver_manager

        cursor = self.connection.cursor()
        try:
            cursor.execute(query, values or None)
        except adbc_driver_manager.Error as error:
            raise WarehouseError(f"the database refused the query: {error}") from None
        rows = cursor.fetch_record_batch()
        as_asked = schema or rows.schema

        def batches() -> Iterator[pa.RecordBatch]:
            with cursor:  # which the rows need until their end
                for batch in rows:
                    yield batch.cast(as_asked)

        return pa.RecordBatchReader.from_batches(as_asked, batches())


@contextmanager
def open_hot(dsn: str) -> Iterator[Hot]:
    """One read-only transaction over the feature tables; raises WarehouseError when the database cannot be reached."""
    import adbc_driver_manager
    from adbc_driver_postgresql import dbapi

    try:
        connection = dbapi.connect(dsn, autocommit=True)
    except adbc_driver_manager.Error as error:
        raise WarehouseError(
            f"the database cannot be reached: {error}. Is it up? `make up` starts the embedded one"
        ) from None
    with connection:
        hot = Hot(connection)
        for statement in (
            "set timezone to 'UTC'",
            "begin isolation level repeatable read read only",
            # Before the snapshot is taken: from here on no partition can be detached.
            "lock table only features.features_versions_intraday, only features.features_values_intraday"
            " in access share mode",
        ):
            with connection.cursor() as cursor:
                cursor.execute(statement)
        yield hot


def _where(features: Sequence[str] | None, since: datetime | None, until: datetime | None) -> tuple[str, list[Any]]:
    values: list[Any] = []
    conditions: list[str] = []
    for condition, value in (
        ("feature_id = any(${})", None if features is None else list(features)),
        ("ts >= ${}", since),
        ("ts < ${}", until),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values)))
    return (f"where {' and '.join(conditions)}" if conditions else ""), values
