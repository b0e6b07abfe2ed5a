"""Changes to the content of a JSON answer: a field renamed, dropped, added, or in another unit, wherever it occurs.

A field is the name in an object, or the position in a row without names: a list of plain values within a list, as
`"4"` is the close of a candle.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from feature_store.replay.folder import plain


def renamed(body: bytes, field: str, to: str) -> bytes:
    """The field under another name; in a row, at another position."""

    def in_object(row: dict[str, Any]) -> dict[str, Any]:
        return {to if name == field else name: value for name, value in row.items()}

    def in_row(row: list[Any], at: int) -> list[Any]:
        rest = row[:at] + row[at + 1 :]
        return [*rest[: int(to)], row[at], *rest[int(to) :]] if to.isdecimal() else row

    return _changed(body, field, in_object, in_row)


def dropped(body: bytes, field: str) -> bytes:
    """The field gone."""

    def in_object(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != field}

    return _changed(body, field, in_object, lambda row, at: row[:at] + row[at + 1 :])


def added(body: bytes, field: str) -> bytes:
    """Beside the field another that nobody has heard of; a row ends with one cell more."""

    def in_object(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, f"{field}_new": row[field]} if field in row else row

    return _changed(body, field, in_object, lambda row, at: [*row, row[at]])


def scaled(body: bytes, field: str, factor: Decimal) -> bytes:
    """The field's numbers multiplied: a number stays a number, a text a text with as many decimals or more."""

    def in_object(row: dict[str, Any]) -> dict[str, Any]:
        return {name: _times(value, factor) if name == field else value for name, value in row.items()}

    return _changed(body, field, in_object, lambda row, at: [*row[:at], _times(row[at], factor), *row[at + 1 :]])


def _changed(
    body: bytes,
    field: str,
    in_object: Callable[[dict[str, Any]], dict[str, Any]],
    in_row: Callable[[list[Any], int], list[Any]],
) -> bytes:
    """The body with every object that has `field`, and every row that reaches so far, put through a change."""

    def walk(content: Any, within_list: bool = False) -> Any:
        if isinstance(content, dict):
            return {name: walk(value) for name, value in in_object(content).items()}
        if not isinstance(content, list):
            return content
        if within_list and field.isdecimal() and int(field) < len(content) and not _nested(content):
            return in_row(content, int(field))
        return [walk(item, within_list=True) for item in content]

    try:
        content = json.loads(body, parse_float=Decimal)
    except ValueError:  # not JSON: an error body or XML, which are left alone
        return body
    return json.dumps(walk(content), separators=(",", ":"), default=float).encode()


def _nested(row: list[Any]) -> bool:
    return any(isinstance(cell, list | dict) for cell in row)


def _times(value: Any, factor: Decimal) -> Any:
    """What is no number is left alone."""
    try:
        product = Decimal(str(value)) * factor
    except ArithmeticError:
        return value
    if isinstance(value, str):
        return _padded(plain(product), len(value.partition(".")[2]))
    return int(product) if isinstance(value, int) and product == int(product) else product


def _padded(text: str, decimals: int) -> str:
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<{decimals}}" if decimals or fraction else whole
