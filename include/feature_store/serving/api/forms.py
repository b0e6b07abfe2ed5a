"""The forms an answer comes in, chosen by Accept, and tables of any length written in them piece by piece."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, islice

import pyarrow as pa

from feature_store.serving.api.problems import Problem
from feature_store.serving.api.wire import csv_header, csv_rows, joined, json_rows

PIECE_ROWS = 4096
"""How many rows are text at once, for each answer under way."""


class Form(Enum):
    """What an answer can be; JSON first: it is what those get who do not say."""

    JSON = "application/json"
    CSV = "text/csv"
    NDJSON = "application/x-ndjson"
    ARROW = "application/vnd.apache.arrow.stream"

    @property
    def content_type(self) -> str:
        """The header of the answer."""
        return "text/csv; charset=utf-8; header=present" if self is Form.CSV else self.value


@dataclass(frozen=True)
class _Range:
    """A part of Accept."""

    main: str
    sub: str
    q: float

    def matches(self, form: Form) -> int:
        """How exactly it names the form: 2 does, 1 and 0 cover it, -1 does not."""
        main, sub = form.value.split("/")
        if (self.main, self.sub) == (main, sub):
            return 2
        if (self.main, self.sub) == (main, "*"):
            return 1
        return 0 if (self.main, self.sub) == ("*", "*") else -1


def accepted(accept: str | None, offered: Sequence[Form] = tuple(Form)) -> Form:
    """The form that Accept likes best of those offered; raises Problem not-acceptable.

    Of forms that it likes alike the one that it names more exactly, then the first.
    """
    if not accept or accept == "*/*":
        return offered[0]
    ranges = [found for part in accept.split(",") if (found := _range(part)) is not None]
    best, liked = None, (0.0, -1)
    for form in offered:
        exactness, q = max(((each.matches(form), each.q) for each in ranges), default=(-1, 0.0))
        if exactness >= 0 and q > 0 and (q, exactness) > liked:
            best, liked = form, (q, exactness)
    if best is None:
        raise Problem(
            "not-acceptable", f"there is {', '.join(form.value for form in offered)}, and Accept wants none of it"
        )
    return best


_Q = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def _range(part: str) -> _Range | None:
    """A part of Accept; None for what is no media range, which says nothing."""
    media, *parameters = [item.strip() for item in part.split(";")]
    main, slash, sub = media.lower().partition("/")
    if not (main and slash and sub):
        return None
    q = 1.0
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip().lower() == "q":
            q = float(value) if _Q.fullmatch(value.strip()) else 0.0
    return _Range(main, sub, q)


def pieces(table: pa.Table) -> Iterator[pa.Table]:
    """The table, PIECE_ROWS rows at most at a time."""
    for start in range(0, table.num_rows, PIECE_ROWS):
        yield table.slice(start, PIECE_ROWS)


def primed(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables, the first of them made now: what fails at once fails before an answer has begun."""
    first = list(islice(tables, 1))
    return chain(first, tables)


def written(form: Form, schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """Tables of that schema in a form with one row after the other: all but JSON."""
    if form is Form.CSV:
        yield csv_header(schema.names).encode()
        for table in tables:
            yield joined(csv_rows(table), "\r\n") + b"\r\n"
    elif form is Form.NDJSON:
        for table in tables:
            yield joined(json_rows(table), "\n") + b"\n"
    else:
        yield from _arrow(schema, tables)


def json_list(before: bytes, texts: Iterator[pa.Array], after: bytes) -> Iterator[bytes]:
    """A JSON object around a list: `before` ends in [ and `after` begins with ]."""
    yield before
    comma = b""
    for piece in texts:
        yield comma + joined(piece, ",")
        comma = b","
    yield after


def _arrow(schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[bytes]:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for table in tables:
            writer.write_table(table)
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content
