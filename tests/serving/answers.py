"""Rows of the SQL shell and of Postgres, so that they can be compared."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa

from feature_store.serving.shell import Shell

Row = tuple[Any, ...]


def of_shell(shell: Shell, statement: str) -> list[Row]:
    """The rows, in an order of their own."""
    with shell.ask(statement) as answer:
        return _ordered(row for batch in answer.batches for row in zip(*batch.to_pydict().values(), strict=True))


def of_postgres(conn: psycopg.Connection, statement: str) -> list[Row]:
    """The same, as Postgres itself answers."""
    rows = conn.execute(statement.encode()).fetchall()
    conn.commit()
    return _ordered(rows)


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, pa.MonthDayNano):
        months, days, nanoseconds = value
        assert not months
        return timedelta(days=days, microseconds=nanoseconds // 1000)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value
