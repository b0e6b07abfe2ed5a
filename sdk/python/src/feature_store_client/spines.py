"""Spines: instants in whatever form they are held, as the Arrow table that goes over the wire."""

import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pyarrow as pa

from feature_store_client.errors import InvalidRequest
from feature_store_client.instants import instant, read_instant

INSTANT = pa.timestamp("us", "UTC")


def spine_table(spine: Any) -> pa.Table:
    """Columns `at` and, where the spine has it, `as_of`.

    A spine is an iterable of instants, an Arrow table or a pandas DataFrame with these columns, or a pandas Index or
    Series of instants. Raises InvalidRequest for anything else, and for instants without a zone.
    """
    return pa.table({name: _instants(name, column) for name, column in _columns(spine).items()})


def written(spine: pa.Table) -> bytes:
    """The table as an Arrow IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, spine.schema) as writer:
        writer.write_table(spine)
    return sink.getvalue()


def _columns(spine: Any) -> dict[str, Any]:
    if isinstance(spine, pa.RecordBatch):
        spine = pa.Table.from_batches([spine])
    if isinstance(spine, pa.Table):
        return _named(spine, spine.column_names)
    if hasattr(spine, "columns") and hasattr(spine, "index"):  # a DataFrame, without importing pandas
        return {name: pa.Array.from_pandas(column) for name, column in _named(spine, list(spine.columns)).items()}
    if hasattr(spine, "to_numpy"):  # an Index or a Series
        return {"at": pa.Array.from_pandas(spine)}
    if isinstance(spine, pa.Array | pa.ChunkedArray):
        return {"at": spine}
    if isinstance(spine, Iterable) and not isinstance(spine, str | bytes):
        texts = [instant(f"spine[{number}]", each) for number, each in enumerate(spine)]
        return {"at": pa.array([_required(text) for text in texts], INSTANT)}
    raise InvalidRequest(
        f"a spine is a list of instants, a DataFrame, an Index or an Arrow table, and no {type(spine)}"
    )


def _named(spine: Any, names: list[str]) -> dict[str, Any]:
    if "at" not in names:
        raise InvalidRequest("the spine has no column `at`: the instants to look at")
    return {name: spine[name] for name in ("at", "as_of") if name in names}


def _instants(name: str, column: Any) -> Any:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(INSTANT, safe=False)  # nanoseconds are cut off
    if pa.types.is_timestamp(kind):
        raise InvalidRequest(f"the spine's `{name}` names no time zone: in pandas, .dt.tz_localize('UTC')")
    raise InvalidRequest(f"the spine's `{name}` holds {kind}, and no timestamps with a time zone")


def _required(text: str | None) -> datetime:
    if text is None:
        raise InvalidRequest("the spine holds None, which is no instant")
    return read_instant(text)
