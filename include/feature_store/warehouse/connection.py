"""Connections to the `feature_store` database."""

import psycopg

from feature_store.errors import WarehouseError
from feature_store.settings import load_settings


def connect(dsn: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection in UTC; raises WarehouseError, without the password, when the database cannot be reached."""
    try:
        return psycopg.connect(dsn or load_settings().postgres_dsn, autocommit=autocommit, options="-c timezone=UTC")
    except psycopg.OperationalError as error:
        info = psycopg.conninfo.conninfo_to_dict(dsn or load_settings().postgres_dsn)
        raise WarehouseError(
            f"the database at {info.get('host')}:{info.get('port')}/{info.get('dbname')} cannot be reached: "
            f"{str(error).splitlines()[0]}. Is the stack up? `make up` starts it."
        ) from None
