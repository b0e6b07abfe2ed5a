"""What is sent and what comes back, without sending it.

A verb is a flow: a generator that yields requests, is given their answers and returns what they say. The clients run
flows; one blocks and the other awaits, and neither knows what is asked.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Generic, TypeAlias, TypeVar

import pyarrow as pa

from feature_store_client.errors import UnexpectedAnswer
from feature_store_client.instants import read_instant

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    accept: str = JSON
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One answer; the names of `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Item(Generic[T]):
    """Something to hand to the caller between two requests."""

    value: T


Flow: TypeAlias = Generator[Request, Answer, T]
Stream: TypeAlias = Generator[Request | Item[T], Answer | None, None]


def resumed(stream: Stream[T], answer: Answer | None = None) -> Request | Item[T] | None:
    """The next step of a stream; None at its end."""
    try:
        return stream.send(answer)
    except StopIteration:
        return None


def params(**given: Any) -> list[tuple[str, str]]:
    """Query parameters under the wire's names; None is left out, and a list is repeated."""
    found = []
    for name, value in given.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None:
                found.append((camel(name), str(each).lower() if isinstance(each, bool) else str(each)))
    return found


def camel(name: str) -> str:
    """feature_id as featureId."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake(name: str) -> str:
    """featureId as feature_id."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def read_json(answer: Answer) -> Any:
    """The JSON of an answer; raises UnexpectedAnswer."""
    _require(answer, JSON)
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise UnexpectedAnswer(f"the answer is no JSON: {error}") from None


def read_arrow(answer: Answer) -> pa.Table:
    """The table of an answer; raises UnexpectedAnswer."""
    _require(answer, ARROW)
    try:
        return pa.ipc.open_stream(answer.content).read_all()
    except (pa.ArrowException, OSError) as error:
        raise UnexpectedAnswer(f"the answer is no Arrow stream: {error}") from None


def _require(answer: Answer, media: str) -> None:
    said = answer.headers.get("content-type", "")
    if said.partition(";")[0].strip().lower() != media:
        raise UnexpectedAnswer(
            f"{media} was asked for, and {said or 'something without a Content-Type'} came: is this its address?"
        )


def snake_columns(table: pa.Table) -> pa.Table:
    """The table with our names."""
    return table.rename_columns([snake(name) for name in table.column_names])


def built(cls: type[T], told: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object with the wire's names; members that it has no field for are left out."""
    found = {}
    for each in fields(cls):  # type: ignore[arg-type]  # every T here is a dataclass
        value = told.get(camel(each.name))
        found[each.name] = read_instant(value) if isinstance(value, str) and is_instant(each.name) else value
    return cls(**found)


def is_instant(name: str) -> bool:
    """Whether a field of that name holds an instant."""
    return name in ("ts", "at", "as_of") or name.endswith("_at")


def records(cls: type[T], table: pa.Table) -> list[T]:
    """A dataclass for each row of a table with our names."""
    columns = [_values(table.column(each.name), each.name) for each in fields(cls)]  # type: ignore[arg-type]
    return [cls(*row) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray, name: str) -> list[Any]:
    if name in ("meta", "evidence"):  # JSON on the wire
        return [json.loads(text) for text in column.to_pylist()]
    return instants(column) if pa.types.is_timestamp(column.type) else list(column.to_pylist())


def instants(column: pa.ChunkedArray) -> list[datetime | None]:
    """The instants of a column, in UTC."""
    # Cast to one without a zone, for Python may lack a database of zones.
    plain = column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).to_pylist()
    return [each and each.replace(tzinfo=timezone.utc) for each in plain]
