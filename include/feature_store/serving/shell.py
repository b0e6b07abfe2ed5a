"""SQL over hot and archive: a DuckDB that has every table of the store under its name, and reads it when it is asked.

`features_values` and `features_versions` have what has retired as well; `features.as_of`, `as_stored` and
`latest_as_of` are the functions of Postgres of the same names over them. Everything else is what Postgres has.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import groupby
from typing import Self, TypeVar

import duckdb
import pyarrow as pa

from feature_store.archive.history import open_history
from feature_store.errors import QueryError
from feature_store.serving.lazy import LazyTable, Scan
from feature_store.serving.moment import Moment
from feature_store.serving.tables import Relation, panel_as_stored, read_nothing, read_values, read_versions, relations
from feature_store.settings import Settings
from feature_store.warehouse.versions import HotConnections

BATCH_ROWS = 10_000

_MACROS, _MACROS_OF_NOW = (
    files(__package__).joinpath(f"{name}.sql").read_text() for name in ("macros", "macros_of_now")
)
_SPANNING = {"features.features_versions": read_versions, "features.features_values": read_values}
"""What has its rows from hot and archive alike."""

_ASSESSMENTS = "quality.confidence"
"""Joined by the macros: a snapshot has it too, without rows."""

_PANEL = "features.daily_panel"

T = TypeVar("T")
ReadAt = Callable[[Moment, Scan], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Answer:
    """The rows of a statement, as they arrive."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Shell:
    """One DuckDB for statements of one user, one after the other."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, settings: Settings, snapshot: str | None) -> None:
        self._duck = duck
        self._settings = settings
        self._snapshot = snapshot
        self._connections = HotConnections(settings.postgres_dsn)
        self._worker = ThreadPoolExecutor(1, "duckdb")
        self._moment: Moment | None = None
        self._failure: Exception | None = None
        self.tables: list[str] = []
        """`schema.name` of everything there is to be asked."""

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, snapshot: str | None = None) -> Iterator[Self]:
        """A shell over a store, or over one of its named snapshots, of which only the versions and values are there.

        Raises WarehouseError without a database; ArchiveError when there is no such snapshot, or S3 is away.
        """
        if snapshot is not None:
            with open_history(settings) as history:
                history.at(snapshot)
        with duckdb.connect() as duck:
            shell = cls(duck, settings, snapshot)
            try:
                shell._set_up()
                yield shell
            finally:
                shell._worker.shutdown()
                shell._connections.close()

    @contextmanager
    def ask(self, statement: str) -> Iterator[Answer]:
        """Run SQL; the answer, of the last statement of several, is to be read within the block.

        All of it is of one transaction. Raises QueryError with DuckDB's message, ArchiveError when it needs S3 and S3
        is away, WarehouseError when Postgres refuses.
        """
        self._failure = None
        with Moment.of(self._connections, self._settings, self._snapshot) as self._moment:
            with suppress(duckdb.TransactionException):  # a transaction of the user's that failed waits for its end
                self._duck.execute(f"set variable feature_store_now = timestamptz '{self._moment.now.isoformat()}'")
            with self._explained():
                rows = self._beside(lambda: self._begun(statement))
            try:
                yield Answer(rows.schema, self._batches(rows))
            finally:
                rows.close()

    def _begun(self, statement: str) -> pa.RecordBatchReader:
        relation = self._duck.sql(statement)
        if relation is None:  # nothing was said
            return pa.RecordBatchReader.from_batches(pa.schema([]), ())
        return relation.to_arrow_reader(BATCH_ROWS)

    def _batches(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while True:
            with self._explained():
                batch = self._beside(lambda: next(rows, None))
            if batch is None:
                return
            yield batch

    def _beside(self, work: Callable[[], T]) -> T:
        """What work returns, done by a thread of its own: the one that hears Ctrl-C would hear it only afterwards."""
        running = self._worker.submit(work)
        try:
            return running.result()
        except KeyboardInterrupt:
            self._duck.interrupt()
            wait([running])
            raise

    def _set_up(self) -> None:
        self._duck.execute("set timezone = 'UTC'; set python_enable_replacements = false")
        with self._connections.open() as hot:
            found = relations(hot)
        if self._snapshot is not None:
            found = [relation for relation in found if relation.path in {*_SPANNING, _ASSESSMENTS}]
        columns = {relation.path: relation.columns for relation in found}
        for schema, of_schema in groupby(found, key=lambda relation: relation.schema):
            self._duck.execute(f'create schema if not exists "{schema}"')
            for relation in of_schema:
                self._add(relation)
        self._duck.execute("set search_path = 'main,features'")
        self._duck.execute(_MACROS if self._snapshot is not None else _MACROS + _MACROS_OF_NOW)
        if _PANEL in columns:
            self._duck.execute(panel_as_stored(columns[_PANEL]))

    def _add(self, relation: Relation) -> None:
        of_postgres = relation.read if self._snapshot is None else read_nothing
        read = partial(self._read, _SPANNING.get(relation.path, of_postgres))
        self._duck.register(relation.path, LazyTable(relation.columns, read))
        as_json = ", ".join(f'"{name}"::json as "{name}"' for name in relation.json_columns)
        replaced = f"replace ({as_json})" if as_json else ""
        # A view: what is registered has no schema, and Arrow no JSON that DuckDB would filter.
        self._duck.execute(
            f'create view "{relation.schema}"."{relation.name}" as select * {replaced} from "{relation.path}"'  # noqa: S608
        )
        self.tables.append(relation.path)

    def _read(self, read: ReadAt, scan: Scan) -> Iterator[pa.RecordBatch]:
        """What DuckDB reads; why that failed, DuckDB tells as a text."""
        assert self._moment is not None
        try:
            yield from read(self._moment, scan)
        except Exception as error:
            self._failure = error
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            if self._failure is not None:
                raise self._failure from None
            raise QueryError(self._told(error)) from None

    def _told(self, error: Exception) -> str:
        told = str(error)
        if self._snapshot is not None and isinstance(error, duckdb.CatalogException):
            return (
                f"{told}\nThe snapshot {self._snapshot!r} has features_values, features_versions, features.as_of and "
                "features.as_stored; everything else is of the store as it is now: ask without --snapshot"
            )
        if "daily_panel" in told and _PANEL not in self.tables:
            return f"{told}\nThe first transform makes the panel: `make up`, or the DAG transform_features"
        return told
