"""Rows of an answer as texts: for a table that somebody reads, or for CSV."""

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, TextIO

import pyarrow as pa
from rich.console import Console
from rich.table import Column, Table

from feature_store.serving.shell import Answer

MOST_ROWS = 1000
"""Of an answer that is shown as a table; CSV has all of them."""

_WIDEST = 10_000
"""Characters of a line that goes to a file or a program, which needs no folding."""

_INFINITE = {2**63 - 1: "infinity", 1 - 2**63: "-infinity", 2**31 - 1: "infinity", 1 - 2**31: "-infinity"}
"""DuckDB's instants, in any unit, and dates."""


def write_csv(answer: Answer, out: TextIO) -> None:
    """Header and rows as RFC 4180 quotes them, a line each; null is nothing, the empty text is quoted."""
    out.write(",".join(map(_quoted, answer.schema.names)) + "\n")
    for row in _rows(answer):
        out.write(",".join("" if value is None else _quoted(text(value)) for value in row) + "\n")


def print_rows(answer: Answer, out: TextIO) -> None:
    """A table of the first MOST_ROWS rows, with a note where there are more."""
    console = Console(file=out, markup=False, highlight=False, width=None if out.isatty() else _WIDEST)
    rows = _rows(answer)
    if answer.schema.names == ["explain_key", "explain_value"]:  # a plan is drawn already
        out.writelines(f"{plan}\n" for _, plan in rows)
        return
    table = Table(*(Column(name, overflow="fold") for name in answer.schema.names), show_edge=False)
    for row in islice(rows, MOST_ROWS):
        table.add_row(*("" if value is None else text(value, " ") for value in row))
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"These are the first {MOST_ROWS} rows: --csv prints all")


def text(value: object, before_time: str = "T") -> str:
    """A value as a text from which it can be read again: ISO 8601 for times, lists and objects as JSON."""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=text, ensure_ascii=False)
    if isinstance(value, pa.MonthDayNano):
        return _interval(value)
    if isinstance(value, datetime):
        return value.isoformat(before_time)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


def _rows(answer: Answer) -> Iterator[tuple[Any, ...]]:
    for batch in answer.batches:
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):  # an instant that Python does not have
        numbers = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64()).to_pylist()
        texts = column.cast(pa.string()).to_pylist()
        values = [_INFINITE.get(number, shown) for number, shown in zip(numbers, texts, strict=True)]
    return values


def _interval(value: Any) -> str:
    """As Postgres writes it, months as months: `1 mon 2 days 03:04:05`."""
    months, days, nanoseconds = value
    rest = timedelta(microseconds=abs(nanoseconds) // 1000)
    parts = [f"{months} mons"] * bool(months) + [f"{days} days"] * bool(days)
    seconds = rest.total_seconds()
    clock = f"{seconds // 3600:02.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:09.6f}".removesuffix(".000000")
    return " ".join([*parts, ("-" if nanoseconds < 0 else "") + clock] if nanoseconds or not parts else parts)


def _quoted(value: str) -> str:
    if value and not any(sign in value for sign in ',"\r\n'):
        return value
    return '"' + value.replace('"', '""') + '"'
