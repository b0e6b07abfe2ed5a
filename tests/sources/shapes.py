"""An answer, what its parser reads in it, and how it can be spoilt."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any

from feature_store.catalog import SeriesSpec
from feature_store.errors import Malformed
from feature_store.sources.contract import Block, Payload, Row
from feature_store.warehouse.reading import Answer, read

KEPT = 5
"""How many entries of a list are enough for its shape."""

Key = tuple[str, datetime, Any]
Cells = Mapping[tuple[Key, str], object]


@dataclass(frozen=True)
class Shape:
    """One answer of a stream, with its parser."""

    slug: str
    stream: str
    series: SeriesSpec
    zone: str
    parse: Callable[[Payload], Iterable[Row | Block]]
    payload: Payload

    def __str__(self) -> str:
        return f"{self.slug}/{self.stream} {self.payload.endpoint}"

    @property
    def is_json(self) -> bool:
        return not self.payload.content.lstrip().startswith(b"<")

    def answer(self, content: bytes) -> Answer:
        """What loading would be told of an answer with this content."""
        return read(self.series, self.zone, 1, self.parse(replace(self.payload, content=content)))

    def cells(self, content: bytes) -> Cells | None:
        """The values of the rows by key and column; None where the answer cannot be read."""
        if self.answer(content).error is not None:
            return None
        return {
            ((row.series, row.ts, row.vintage), name): _comparable(value)
            for row in rows_of(self.parse(replace(self.payload, content=content)))
            for name, value in row.values.items()
        }

    @cached_property
    def read(self) -> Cells:
        cells = self.cells(self.payload.content)
        assert cells is not None, f"{self} cannot be read as it is"
        return cells


def rows_of(parsed: Iterable[Row | Block]) -> list[Row]:
    return [row for item in parsed for row in (item.rows() if isinstance(item, Block) else [item])]


def shrunk(shape: Shape) -> Shape:
    """The same with short lists, where the parser can still read it."""
    if not shape.is_json:
        return shape
    short = dump(_shorter(load(shape.payload.content)))
    try:
        is_readable = shape.answer(short).error is None
    except Malformed:
        is_readable = False
    return replace(shape, payload=replace(shape.payload, content=short)) if is_readable else shape


def load(content: bytes) -> Any:
    """JSON in which texts that hold JSON themselves are unfolded, so that both can be spoilt."""
    return _unfolded(json.loads(content, parse_float=Decimal))


def dump(tree: Any) -> bytes:
    return _text(tree).encode()


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) in a tree."""
    if isinstance(tree, Folded):
        return places(tree.tree)
    inside = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [(tree, at) for at, _ in inside] + [place for _, value in inside for place in places(value)]


def pick(random: Random, tree: Any, wanted: Callable[[Any], bool]) -> tuple[Any, Any] | None:
    """A place whose value is wanted; one container is as likely as another."""
    found = [(at, key) for at, key in places(tree) if wanted(at[key])]
    return random.choice(found) if found else None


@dataclass
class Folded:
    """JSON within a text."""

    tree: Any


def _unfolded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unfolded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unfolded(inner) for inner in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return Folded(_unfolded(json.loads(value, parse_float=Decimal)))
        except ValueError:
            return value
    return value


def _shorter(tree: Any) -> Any:
    if isinstance(tree, Folded):
        return Folded(_shorter(tree.tree))
    if isinstance(tree, dict):
        return {name: _shorter(value) for name, value in tree.items()}
    if isinstance(tree, list):
        is_row = all(not isinstance(value, dict | list) for value in tree)
        return tree if is_row else [_shorter(value) for value in tree[:KEPT]]
    return tree


def _text(tree: Any) -> str:
    if isinstance(tree, Folded):
        return json.dumps(_text(tree.tree))
    if isinstance(tree, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_text(value)}" for name, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(_text, tree)) + "]"
    return format(tree, "f") if isinstance(tree, Decimal) else json.dumps(tree)


def _comparable(value: object) -> object:
    """A number however it is spelled, JSON as its tree."""
    if isinstance(value, bool) or value is None or isinstance(value, datetime):
        return value
    text = str(value)
    try:
        return Decimal(text)
    except ArithmeticError:
        return json.loads(text, parse_float=Decimal) if text[:1] in ("{", "[") else text
