"""Tables as they go over the wire: columns under wire names, and their rows as JSON or CSV, made column by column.

Python touches no single value: a page of 100,000 points is text in a second, and other requests go on meanwhile.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.catalog import FeatureSpec
from feature_store.errors import CatalogError
from feature_store.serving.timing import microseconds, open_age, valid_at

JSON = pa.field("json", pa.string(), metadata={"json": "yes"}).metadata
"""Marks a column of strings that are JSON themselves."""

# The order of a point's members on the wire, and the query layer's names for them.
POINT = {
    "featureId": "feature_id",
    "ts": "ts",
    "value": "value",
    "stale": "stale",
    "confidence": "confidence",
    "meta": "meta",
    "evidence": "evidence",
    "availableAt": "available_at",
    "availableBasis": "available_basis",
    "ingestedAt": "ingested_at",
    "provisional": "is_provisional",
    "version": "version",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TWO_QUARTERS = microseconds(timedelta(days=184))

VERSION = (
    "ts", "value", "version", "availableAt", "availableBasis", "ingestedAt", "provisional", "confidence", "meta",
    "evidence",
)  # fmt: skip


def wire_table(rows: pa.Table, names: Sequence[str] = tuple(POINT)) -> pa.Table:
    """The columns of those wire names; `rows` has what POINT says they are made of."""
    fields = [pa.field(name, rows.schema.field(POINT[name]).type, metadata=_mark(name)) for name in names]
    return pa.Table.from_arrays([rows[POINT[name]] for name in names], schema=pa.schema(fields))


def _mark(name: str) -> Mapping[bytes, bytes] | None:
    return JSON if name in ("meta", "evidence") else None


def staleness(rows: pa.Table, features: Mapping[str, FeatureSpec], now_us: int) -> pa.Array:
    """Whether each point would be stale at `now_us` (microseconds since 1970, UTC): its age exceeds its ttl."""
    stale = np.zeros(rows.num_rows, np.bool_)
    ids = rows["feature_id"].combine_chunks().dictionary_encode()
    of_feature, ts = ids.indices.to_numpy(), rows["ts"].cast(pa.int64()).to_numpy()
    for number, name in enumerate(ids.dictionary.to_pylist()):
        chosen = of_feature == number
        stale[chosen] = _stale(features[name], ts[chosen], now_us)
    return pa.array(stale)


def _stale(feature: FeatureSpec, ts: np.ndarray[Any, np.dtype[np.int64]], now_us: int) -> Any:
    ttl = feature.ttl_ms * 1000
    # Too old whatever was closed since: more than half of any calendar's days are open, and no period is longer than a
    # quarter. A calendar may not reach back to these.
    is_ancient = now_us - ts > 3 * ttl + _TWO_QUARTERS
    stale = is_ancient.copy()
    recent = ts[~is_ancient]
    try:
        ended = np.minimum(valid_at(feature, recent), now_us)
        stale[~is_ancient] = open_age(feature.calendar, ended, np.full_like(ended, now_us)) > ttl
    except CatalogError:
        # A clock far from the calendar's days: without them no time is known to have been closed.
        stale[~is_ancient] = now_us - recent > ttl
    return stale


def json_rows(table: pa.Table) -> pa.Array:
    """Each row as a JSON object, its columns in order."""
    parts: list[Any] = []
    for number, field in enumerate(table.schema):
        parts += [("{" if number == 0 else ",") + json.dumps(field.name, ensure_ascii=False) + ":"]
        parts += [pc.coalesce(json_values(table[field.name], field), "null")]
    return _joined([*parts, "}"] if parts else ["{}"], table.num_rows)


def json_values(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Each value as JSON; null stays null."""
    if pa.types.is_string(field.type):
        return column if field.metadata and b"json" in field.metadata else _of_each(column, _quoted_json)
    text = _plain(column)
    return _joined(['"', text, '"'], len(column)) if pa.types.is_timestamp(field.type) else text


def csv_rows(table: pa.Table) -> pa.Array:
    """Each row as a line of CSV without its end (RFC 4180): texts quoted, null empty."""
    parts: list[Any] = []
    for number, field in enumerate(table.schema):
        column = table[field.name]
        text = _of_each(column, _quoted_csv) if pa.types.is_string(field.type) else _plain(column)
        parts += [*([","] if number else []), pc.coalesce(text, "")]
    return _joined(parts, table.num_rows)


def csv_header(names: Sequence[str]) -> str:
    """The first line, with its end; wire names and feature ids need no quotes."""
    return ",".join(names) + "\r\n"


def joined(texts: pa.Array, separator: str) -> bytes:
    """All of them as one text."""
    return separator.join(texts.to_pylist()).encode()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers, booleans and instants as JSON and CSV alike write them, but for quotes."""
    if pa.types.is_timestamp(column.type):
        text = column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).cast(pa.string())
        text = pc.utf8_replace_slice(text, 10, 11, "T")
        # Microseconds only where there are any.
        return pc.binary_join_element_wise(pc.replace_substring(text, ".000000", ""), "Z", "")
    text = column.cast(pa.string())
    if pa.types.is_floating(column.type):  # else the sign of a zero would be lost
        text = pc.if_else(pc.equal(text, "-0"), "-0.0", text)
    return text


def _of_each(column: pa.ChunkedArray, written: Any) -> pa.ChunkedArray:
    """A function of each different text."""
    texts = (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).dictionary_encode()
    return pa.array([written(text) for text in texts.dictionary.to_pylist()], pa.string()).take(texts.indices)


def _quoted_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted_csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _joined(parts: list[Any], length: int) -> pa.Array:
    """Texts and columns of texts, side by side."""
    if all(isinstance(part, str) for part in parts):
        return pa.repeat(pa.scalar("".join(parts)), length)
    text = pc.binary_join_element_wise(*parts, "")
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def micros(at: datetime) -> int:
    """Microseconds since 1970, UTC, of an aware instant."""
    return (at - _EPOCH) // timedelta(microseconds=1)
