"""`feature-store publish`: points from a file or a pipe, by the rules that the REST API holds them to."""

import csv
import io
import json
import sys
from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import typer

from feature_store.cli.options import AsJson, print_json, print_table
from feature_store.errors import InvalidRequest

_NUMBERS = ("value", "confidence")
_OBJECTS = ("meta", "evidence")


class Mode(StrEnum):
    """What becomes of a request in which some points fail."""

    ALL = "all"
    EACH = "each"


def publish(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, allow_dash=True, help="JSON or CSV of points; - for stdin.")
    ],
    mode: Annotated[
        Mode | None,
        typer.Option(help="all: nothing when one fails (unless the file says otherwise); each: what passes."),
    ] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Sent again with it, nothing is written twice.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Also to features that only their connector writes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish points: a list of points or a whole request in JSON, or CSV with the wire's names as its header.

    feature-store publish points.json

    feature-store publish - < points.csv
    """
    from feature_store.catalog import load_catalog
    from feature_store.serving.publishing import Publisher
    from feature_store.serving.publishing import publish as publish_points
    from feature_store.warehouse.connection import connect

    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    publisher = Publisher("command-line", getuser(), frozenset({"admin" if admin else "publish"}))
    with connect() as conn:
        answer = publish_points(conn, load_catalog(), _body(text, mode), publisher, idempotency_key)
    if as_json:
        print_json(answer.wire())
    else:
        typer.echo(f"{answer.inserted} inserted, {answer.duplicate} held already, {answer.failed} failed")
        if answer.errors:
            print_table("failed", list(answer.errors))
        if answer.is_refused:
            typer.echo("Nothing was written: mend these, or publish with --mode each", err=True)
    if answer.failed:
        raise typer.Exit(1)


def _body(text: str, mode: Mode | None) -> bytes:
    """The request that the API would get: a whole one as it stands, unless another mode is wanted."""
    given = _json(text) if text.lstrip().startswith(("{", "[")) else _points_of_csv(text)
    if isinstance(given, dict) and mode is None:
        return text.encode()
    request = {"points": given} if isinstance(given, list) else given
    return json.dumps(request | ({} if mode is None else {"mode": mode.value})).encode()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRequest("the file is no request to publish", [{"where": "file", "problem": str(error)}]) from None


def _points_of_csv(text: str) -> list[dict[str, Any]]:
    points = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            points.append({name: _cell(name, value) for name, value in row.items() if value})
        except (ValueError, TypeError):
            problem = (
                "give a header of featureId, ts, value; numbers in value and confidence; JSON in meta and evidence"
            )
            raise InvalidRequest(
                "the file is no table of points", [{"where": f"line {number}", "problem": problem}]
            ) from None
    return points


def _cell(name: str | None, value: str) -> Any:
    if name is None:
        raise ValueError("more cells than the header has")
    if name in _NUMBERS:
        return float(value)
    if name in _OBJECTS:
        return json.loads(value)
    return value.lower() == "true" if name == "provisional" else value
