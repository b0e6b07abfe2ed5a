"""SQL for people: one statement to a table or CSV, or psql."""

import os
from typing import NoReturn, TextIO

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from feature_store.errors import WarehouseError
from feature_store.settings import load_settings
from feature_store.stack.postgres import binaries


def run(conn: psycopg.Connection, statement: str, out: TextIO, *, as_csv: bool) -> None:
    """Run one statement and write its rows to `out`; raises WarehouseError with the database's message."""
    try:
        if as_csv:
            _copy_csv(conn, statement, out)
        else:
            _print(conn, statement, out)
        conn.commit()
    except psycopg.Error as error:
        raise WarehouseError(f"the database refused the statement: {error}") from None


def open_psql() -> NoReturn:
    """Replace this process by psql; the password travels in the environment, not in the process list."""
    dsn = psycopg.conninfo.conninfo_to_dict(load_settings().postgres_dsn)
    program = str(binaries() / "psql")
    place = [f"--{key}={dsn[name]}" for key, name in (("host", "host"), ("port", "port"), ("username", "user"))]
    env = {**os.environ, "PGPASSWORD": str(dsn.get("password", "")), "PGTZ": "UTC"}
    os.execve(program, [program, *place, str(dsn["dbname"])], env)  # noqa: S606 - our own binary


def _copy_csv(conn: psycopg.Connection, statement: str, out: TextIO) -> None:
    query = sql.SQL("copy ({}) to stdout with (format csv, header)").format(sql.SQL(statement.rstrip("; \n")))
    with conn.cursor().copy(query) as copy:
        for block in copy:
            out.write(bytes(block).decode())


def _print(conn: psycopg.Connection, statement: str, out: TextIO) -> None:
    cursor = conn.execute(statement.encode())
    if cursor.description is None:
        Console(file=out).print(cursor.statusmessage)
        return
    table = Table(*(column.name for column in cursor.description))
    for row in cursor:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(file=out).print(table)
