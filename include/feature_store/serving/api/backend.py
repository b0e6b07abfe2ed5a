"""What the endpoints read from: the query layer, the catalog, and a few connections for what lies beside them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import psycopg
import pyarrow as pa
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from feature_store.archive.evidence import Evidence
from feature_store.catalog import Catalog
from feature_store.errors import WarehouseError
from feature_store.serving.query import QueryLayer
from feature_store.settings import Settings

_CONNECTIONS = 8


@dataclass(frozen=True, eq=False)
class Backend:
    """One store, for any number of threads."""

    settings: Settings = field(repr=False)
    catalog: Catalog
    layer: QueryLayer
    _pool: ConnectionPool = field(repr=False)

    _writers: ConnectionPool = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, catalog: Catalog) -> "Backend":
        """The store of the settings, by its logins that read and publish; nothing is asked of it yet."""
        readers = settings.model_copy(update={"dsn": SecretStr(settings.reader_dsn)})
        pools = _pool(settings.reader_dsn, 1), _pool(settings.publisher_dsn, 0)
        return cls(readers, catalog, QueryLayer(readers, catalog), *pools)

    def open(self) -> None:
        """Make the first connection, without waiting for it."""
        self._pool.open()
        self._writers.open()

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()
        self._writers.close()

    def connection(self) -> AbstractContextManager[psycopg.Connection]:
        """A connection in autocommit, for a moment; WarehouseError when there is none, or it goes away."""
        return _lent(self._pool)

    def writing(self) -> AbstractContextManager[psycopg.Connection]:
        """The same with the login that publishes."""
        return _lent(self._writers)

    def with_evidence(self, rows: pa.Table) -> pa.Table:
        """The rows with their `evidence` expanded, as readers get it; raises WarehouseError."""
        texts = rows["evidence"].combine_chunks().dictionary_encode()
        with self.connection() as conn:
            expanded = Evidence(conn).expand(texts.dictionary.to_pylist())
        column = pa.array(expanded, pa.string()).take(texts.indices)
        return rows.set_column(rows.schema.get_field_index("evidence"), "evidence", column)


def _pool(dsn: str, min_size: int) -> ConnectionPool:
    return ConnectionPool(
        dsn,
        kwargs={"autocommit": True, "options": "-c timezone=UTC", "connect_timeout": 3},
        min_size=min_size,
        max_size=_CONNECTIONS,
        timeout=3,
        check=ConnectionPool.check_connection,
        open=False,
    )


@contextmanager
def _lent(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    try:
        with pool.connection() as conn:
            yield conn
    except psycopg.OperationalError as error:
        raise WarehouseError(f"the database cannot be asked: {str(error).partition(chr(10))[0]}") from error
