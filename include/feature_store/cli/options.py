"""What several commands take and print alike."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from feature_store.display import number

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def instant(text: str) -> datetime:
    """An ISO 8601 instant, UTC unless it names a zone; typer.BadParameter otherwise."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2024-06-01 or 2024-06-01T16:30:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def day(text: str) -> date:
    """A date such as 2024-06-01; typer.BadParameter otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2024-06-01") from None


def span(text: str) -> timedelta:
    """A positive duration, ISO 8601 such as PT6H or short such as 6h; typer.BadParameter otherwise."""
    short = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    try:
        read = TypeAdapter(timedelta).validate_python(text) if short is None else int(short[1]) * _UNITS[short[2]]
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is no duration such as P1D, PT6H, PT5M, 90d or 24h") from None
    if read <= timedelta(0):
        raise typer.BadParameter(f"{text!r} is not longer than nothing")
    return read


def print_table(title: str, rows: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """Rows as a table; their keys head the columns. Instants in UTC, to the second; large numbers whole."""
    table = Table(title=title, title_justify="left")
    for name, value in (rows[0] if rows else {"nothing yet": None}).items():
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    (console or Console()).print(table)


def print_json(found: object) -> None:
    """Anything as JSON; instants and the like as text."""
    typer.echo(json.dumps(found, indent=2, default=str))


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, timedelta):
        whole = timedelta(seconds=round(abs(value).total_seconds()))
        return f"-{whole}" if value < -timedelta(seconds=0.5) else str(whole)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | Decimal):
        return number(float(value))
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)
