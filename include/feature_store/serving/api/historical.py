"""The point-in-time join over the wire: spines in as JSON or Arrow, joined rows out."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.serving.api.asked import MOST_ROWS, HistoricalAsked, JoinAsked
from feature_store.serving.api.problems import invalid
from feature_store.serving.api.wire import JSON, json_rows
from feature_store.serving.query import QueryLayer, backfilled_share
from feature_store.warehouse.versions import INSTANT

DETAILS = {"ts": "ts", "valid_at": "validAt", "available_at": "availableAt", "basis": "availableBasis"}
"""What is told of each value in detail: the query layer's name, and the wire's."""


def spine_of_rows(asked: HistoricalAsked) -> pa.Table:
    """The spine of a JSON body, with `as_of` where any row has one."""
    columns = {"at": pa.array([row.at for row in asked.spine], INSTANT)}
    known_at: list[datetime | None] = [row.as_of for row in asked.spine]
    if any(known_at):
        columns["as_of"] = pa.array(known_at, INSTANT)
    return pa.table(columns)


def spine_of_arrow(body: bytes) -> pa.Table:
    """The spine of an Arrow IPC stream: `at`, and `as_of` where it is there; its other columns are left out.

    Raises Problem invalid-request for what cannot be read or has too many rows.
    """
    try:
        batches, rows = [], 0
        with pa.ipc.open_stream(body) as reader:
            names = [name for name in ("at", "as_of", "asOf") if name in reader.schema.names]
            for batch in reader:
                rows += batch.num_rows
                if rows > MOST_ROWS:
                    raise invalid("body", f"has more than {MOST_ROWS} rows: send the spine in parts")
                batches.append(batch.select(names))
            spine = pa.Table.from_batches(batches, pa.schema([reader.schema.field(name) for name in names]))
        spine.validate(full=True)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise invalid("body", f"is no Arrow IPC stream that can be read: {str(error).partition(chr(10))[0]}") from None
    if "at" not in names:
        raise invalid("body.at", "is missing: the stream needs a column `at` of timestamps with a time zone")
    return spine.rename_columns(["as_of" if name == "asOf" else name for name in names])


def join(layer: QueryLayer, spine: pa.Table, asked: HistoricalAsked | JoinAsked) -> pa.Table:
    """The joined table, as the query layer has it; raises as it does."""
    return layer.historical(
        spine,
        asked.feature_ids,
        as_stored=asked.as_stored,
        strict=asked.strict,
        max_age=asked.max_age,
        detail=asked.detail,
    )


def shares(joined: pa.Table) -> str:
    """The backfilled share by feature, as JSON."""
    return json.dumps(backfilled_share(joined), separators=(",", ":"))


def wire_columns(joined: pa.Table) -> pa.Table:
    """The joined table with the wire's names: of CSV, NDJSON and Arrow."""
    names = ["asOf" if name == "as_of" else _detail_name(name) for name in joined.column_names]
    plain = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in joined.columns]
    return pa.table(dict(zip(names, plain, strict=True)))


def wire_rows(joined: pa.Table, features: Sequence[str], *, detail: bool) -> pa.Array:
    """Rows as JSON objects, values by feature."""
    columns: dict[str, Any] = {"at": joined["at"]}
    if "as_of" in joined.column_names:
        columns["asOf"] = joined["as_of"]
    values = json_rows(joined.select(list(features)))
    marked = [("values", values)]
    if detail:
        points = {name: _point(joined, name) for name in features}
        schema = pa.schema([pa.field(name, pa.string(), metadata=JSON) for name in points])
        marked.append(("points", json_rows(pa.Table.from_arrays(list(points.values()), schema=schema))))
    table = pa.table(columns)
    for name, column in marked:
        table = table.append_column(pa.field(name, pa.string(), metadata=JSON), column)
    return json_rows(table)


def _point(joined: pa.Table, feature: str) -> pa.Array:
    """The instants of each value as JSON; null where there is no value."""
    rows = pa.table({wire: _plain(joined[f"{feature}.{name}"]) for name, wire in DETAILS.items()})
    found = json_rows(rows)
    known = joined[f"{feature}.ts"].is_valid().combine_chunks()
    return pc.if_else(known, found, None)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _detail_name(name: str) -> str:
    feature, dot, detail = name.partition(".")
    return f"{feature}.{DETAILS[detail]}" if dot else name
