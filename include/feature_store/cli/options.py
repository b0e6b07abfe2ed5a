"""What several commands take and print alike."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def instant(text: str) -> datetime:
    """An ISO 8601 instant, UTC unless it names a zone; typer.BadParameter otherwise."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2024-06-01 or 2024-06-01T16:30:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def span(text: str) -> timedelta:
    """A positive ISO 8601 duration such as PT6H; typer.BadParameter otherwise."""
    try:
        read = TypeAdapter(timedelta).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is no duration such as P1D, PT6H or PT5M") from None
    if read <= timedelta(0):
        raise typer.BadParameter(f"{text!r} is not longer than nothing")
    return read


def print_table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as a table; their keys head the columns. Instants in UTC, to the second."""
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ["nothing yet"]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    Console().print(table)


def print_json(found: object) -> None:
    """Anything as JSON; instants and the like as text."""
    typer.echo(json.dumps(found, indent=2, default=str))


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
