"""Point versions that lie in Postgres, as Arrow: what everything that reads history is made of."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.errors import WarehouseError
from feature_store.warehouse.connection import unreachable

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
        columns: Collection[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Versions with since <= ts < until of some features, or all, in the order of KEY, as they arrive.

        `columns` are names of VERSIONS; the answer has them in its order.
        """
        names = [name for name in VERSIONS.names if columns is None or name in columns]
        chosen = None if features is None else list(features)
        conditions = [
            sql.SQL(condition).format(value)
            for condition, value in (("feature_id = any({})", chosen), ("ts >= {}", since), ("ts < {}", until))
            if value is not None
        ]
        return self._read(names, conditions)

    def read_aside(self, table: str) -> pa.RecordBatchReader:
        """The versions of a partition that was detached, by its name."""
        return self._read(VERSIONS.names, [], table)

    def read_appended(self, since: datetime, until: datetime, done_xid: int, limit: int) -> pa.RecordBatchReader:
        """Versions with since <= ts < until that transactions with done_xid <= xid < limit appended; as `read`."""
        conditions = [
            sql.SQL("ts >= {} and ts < {}").format(since, until),
            sql.SQL("xid >= {}::xid8 and xid < {}::xid8").format(str(done_xid), str(limit)),
        ]
        return self._read(VERSIONS.names, conditions)

    def exported(self) -> str:
        """A name for what the transaction sees: with it `HotConnections.open` opens others that see the same."""
        names = self.ask(sql.SQL("select pg_export_snapshot() as name")).read_all()["name"]
        return str(names[0])

    def _read(
        self, names: Sequence[str], conditions: Sequence[sql.Composable], table: str = "features_versions"
    ) -> pa.RecordBatchReader:
        query = sql.SQL("select {} from {} {} {} order by {}").format(
            sql.SQL(", ".join(f"{_CAST.get(name, name)} as {name}" for name in names)),
            sql.Identifier("features", table),
            sql.SQL("where" if conditions else ""),
            sql.SQL(" and ").join(conditions),
            sql.SQL(", ").join(map(sql.Identifier, KEY)),
        )
        return self.ask(query, pa.schema([VERSIONS.field(name) for name in names]))

    def ask(self, query: sql.Composable, schema: pa.Schema | None = None) -> pa.RecordBatchReader:
        """The rows of any query, as they arrive, cast to `schema`; raises WarehouseError."""
        cursor = self.connection.cursor()
        # Values are written into the query: of one with parameters the driver holds all rows in memory.
        cursor.execute(query.as_string(None))
        rows = cursor.fetch_record_batch()
        as_asked = schema or rows.schema

        def batches() -> Iterator[pa.RecordBatch]:
            with cursor:  # which the rows need until their end
                for batch in rows:
                    yield batch.cast(as_asked)

        return pa.RecordBatchReader.from_batches(as_asked, batches())


@contextmanager
def connect_arrow(dsn: str, *, autocommit: bool = False) -> Iterator["Connection"]:
    """A connection that speaks Arrow; what fails on it is a WarehouseError."""
    with _refusals(), _connect(dsn, autocommit=autocommit) as connection:
        yield connection


@contextmanager
def open_hot(dsn: str) -> Iterator[Hot]:
    """One read-only transaction over the feature tables; raises WarehouseError when the database cannot be reached."""
    with connect_arrow(dsn, autocommit=True) as connection:
        _begin(connection)
        yield Hot(connection)


class HotConnections:
    """Connections that are kept for the next question: to make one costs more than to answer most. For any thread."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: list[Connection] = []

    @contextmanager
    def open(self, exported: str | None = None) -> Iterator[Hot]:
        """As `open_hot`; or to see what another transaction sees that exported it, and lasts until this one began."""
        with _refusals():
            connection = self._begun(exported)
            try:
                yield Hot(connection)
                with connection.cursor() as cursor:
                    cursor.execute("commit")
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    def close(self) -> None:
        """Close those that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _begun(self, exported: str | None) -> "Connection":
        import adbc_driver_manager

        try:
            connection = self._idle.pop()
            _begin(connection, exported)
        except (IndexError, adbc_driver_manager.Error):  # none is idle, or the database went away meanwhile
            connection = _connect(self._dsn)
            _begin(connection, exported)
        return connection


def _connect(dsn: str, *, autocommit: bool = True) -> "Connection":
    import adbc_driver_manager
    from adbc_driver_postgresql import dbapi

    try:
        connection: Connection = dbapi.connect(dsn, autocommit=autocommit)
    except adbc_driver_manager.Error as error:
        raise unreachable(dsn, error) from None
    return connection


@contextmanager
def _refusals() -> Iterator[None]:
    import adbc_driver_manager

    try:
        yield
    except adbc_driver_manager.Error as error:
        raise WarehouseError(f"the database refused, or went away: {error}") from None


def _begin(connection: "Connection", exported: str | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        cursor.execute("begin isolation level repeatable read read only")
        if exported is not None:
            cursor.execute(sql.SQL("set transaction snapshot {}").format(exported).as_string(None))
        # Before the snapshot is taken: from here on no partition can be detached.
        cursor.execute(
            "lock table only features.features_versions_intraday, only features.features_values_intraday"
            " in access share mode"
        )


def eligible(
    rows: pa.Table, known_at: datetime | None = None, stored_at: datetime | None = None, *, strict: bool = False
) -> pa.Table:
    """The versions that were available by known_at and stored by stored_at; None bounds nothing.

    Strictly, a backfilled version is available from when it was ingested: it may hold what was rewritten since.
    """
    if known_at is not None:
        available = pc.field("available_at")
        if strict:
            available = pc.if_else(pc.field("available_basis") == "backfilled", pc.field("ingested_at"), available)
        rows = rows.filter(available <= pa.scalar(known_at, INSTANT))
    if stored_at is not None:
        rows = rows.filter(pc.field("ingested_at") <= pa.scalar(stored_at, INSTANT))
    return rows


def newest_of_each(rows: pa.Table) -> pa.Table:
    """Of each feature, definition version and ts the version of the greatest (available_at, ingested_at), as KEY sorts.

    Of eligible rows it is their state (K, S), withdrawn points included.
    """
    rows = rows.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    return rows if rows.num_rows < 2 else rows.filter(pa.concat_arrays([_differs(rows), pa.array([True])]))


def oldest_of_each(rows: pa.Table) -> pa.Table:
    """The same with the least."""
    rows = rows.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    return rows if rows.num_rows < 2 else rows.filter(pa.concat_arrays([pa.array([True]), _differs(rows)]))


def _differs(rows: pa.Table) -> pa.BooleanArray:
    """For each row but the last whether the next is of another point."""
    changes = [pc.not_equal(rows[name][:-1], rows[name][1:]) for name in ("feature_id", "version", "ts")]
    return pc.or_(pc.or_(changes[0], changes[1]), changes[2]).combine_chunks()


class Digest:
    """SHA-256 of rows in their order, column by column; the same whatever pieces they come in."""

    def __init__(self, columns: Sequence[str] = tuple(VERSIONS.names)) -> None:
        self._columns = {name: hashlib.sha256() for name in columns}

    def update(self, rows: pa.Table) -> None:
        """Add rows with at least the columns of the digest, typed as in VERSIONS."""
        for name, digest in self._columns.items():
            for column in rows.column(name).chunks:
                digest.update(_bytes(column))

    def hexdigest(self) -> str:
        """The digest of everything so far."""
        return hashlib.sha256(b"".join(digest.digest() for digest in self._columns.values())).hexdigest()


def _bytes(column: pa.Array) -> bytes:
    if column.type == pa.string():
        texts = pa.ListArray.from_arrays([0, len(column)], column)
        return str(pc.binary_join(texts, "\n")[0]).encode() + b"\n" if len(column) else b""
    if column.type == pa.bool_():
        column = column.cast(pa.uint8())
    if column.null_count:  # of values alone, which are never NaN
        column = column.fill_null(float("nan"))
    return bytes(column.to_numpy(zero_copy_only=False).tobytes())


def digests(rows: pa.Table, features: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Of each feature how many of the rows it has, and their digest in the order of KEY."""
    found = {}
    for name in features:
        own = rows.filter(pc.field("feature_id") == name).sort_by([(column, "ascending") for column in KEY])
        digest = Digest()
        digest.update(own)
        found[name] = (own.num_rows, digest.hexdigest())
    return found
