"""One file of points: what its columns are and how a day becomes its bytes.

The same points give the same bytes: columns, order and writer options are fixed, and nothing in a file tells when or
by which catalog it was written. Only another version of pyarrow may write other bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_INSTANT = pa.timestamp("us", tz="UTC")

SCHEMA = pa.schema(
    [
        pa.field("featureId", pa.string(), nullable=False),
        pa.field("ts", _INSTANT, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field("availableAt", _INSTANT, nullable=False),
        pa.field("availableBasis", pa.string(), nullable=False),
        pa.field("ingestedAt", _INSTANT, nullable=False),
        pa.field("provisional", pa.bool_(), nullable=False),
    ]
)
"""FeaturePoint. `meta` and `evidence` are JSON text; instants are UTC, in microseconds."""

# In memory the long texts are held once each: evidence of one answer repeats a thousand times.
_HELD_ONCE = pa.dictionary(pa.int32(), pa.string())
_IN_MEMORY = pa.schema([f.with_type(_HELD_ONCE) if f.name in {"meta", "evidence"} else f for f in SCHEMA])

# In the file too; and the least and greatest of texts tell a reader nothing.
_TEXTS = ["featureId", "meta", "evidence", "availableBasis"]
_MEASURED = ["ts", "value", "availableAt", "ingestedAt"]

# How PostgreSQL sends an array without nulls: dimensions, flags, type, length, lower bound; then size and item in turn.
_ARRAY_HEADER = 20
_POSTGRES_EPOCH = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

COLUMNS = """
array_send(array_agg(ts order by ts)), array_send(array_agg(value order by ts)),
array_send(array_agg(confidence order by ts)), array_send(array_agg(available_at order by ts)),
array_send(array_agg(ingested_at order by ts)), array_send(array_agg(is_provisional order by ts)),
string_agg(available_basis, e'\\n' order by ts), string_agg(meta::text, e'\\n' order by ts),
string_agg(evidence::text, e'\\n' order by ts)
"""
"""What to select for `Points`, in its order. A line break parts the texts: JSON of the database holds none."""


@dataclass(frozen=True)
class Points:
    """The points of one feature and day as the database sent them, column by column, in order of ts."""

    feature_id: str
    day: date
    ts: bytes
    value: bytes
    confidence: bytes
    available_at: bytes
    ingested_at: bytes
    is_provisional: bytes
    available_basis: str
    meta: str
    evidence: str

    def table(self) -> pa.Table:
        """The same as columns of VERSIONS."""
        return pa.table(
            {
                "ts": _instants(self.ts),
                "value": pa.array(_items(self.value, "f8")),
                "confidence": pa.array(_items(self.confidence, "f8")),
                "meta": _texts(self.meta),
                "evidence": _texts(self.evidence),
                "available_at": _instants(self.available_at),
                "available_basis": _texts(self.available_basis),
                "ingested_at": _instants(self.ingested_at),
                "is_provisional": pa.array(_items(self.is_provisional, "?")),
            }
        )


def replaced(column: pa.DictionaryArray, by: Sequence[str]) -> pa.DictionaryArray:
    """The column with each different text replaced; two may become one."""
    fresh = pa.array(by, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(fresh.indices.take(column.indices), fresh.dictionary)


def point_file(feature_id: str, points: pa.Table, evidence: pa.DictionaryArray, compression: str) -> bytes:
    """The file's bytes; `points` are columns of VERSIONS in order of ts, `evidence` is that column as readers get it.

    `compression` is snappy, gzip, lz4 or zstd.
    """
    table = pa.Table.from_arrays(
        [
            pa.repeat(feature_id, len(evidence)),
            points["ts"],
            points["value"],
            points["confidence"],
            points["meta"].combine_chunks().dictionary_encode(),
            evidence,
            points["available_at"],
            points["available_basis"],
            points["ingested_at"],
            points["is_provisional"],
        ],
        schema=_IN_MEMORY,
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression=compression,
        version="2.6",
        data_page_version="1.0",
        use_dictionary=_TEXTS,
        write_statistics=_MEASURED,
        store_schema=False,
    )
    return bytes(sink.getvalue().to_pybytes())


def _texts(column: str) -> pa.StringArray:
    return pc.split_pattern(pa.array([column]), "\n").values


def _items(sent: bytes, kind: str) -> "np.ndarray[Any, Any]":
    layout = np.dtype([("size", ">i4"), ("item", np.dtype(kind).newbyteorder(">"))])
    return np.frombuffer(sent, layout, offset=_ARRAY_HEADER)["item"].astype(kind)


def _instants(sent: bytes) -> pa.TimestampArray:
    return pa.array(_items(sent, "i8") + _POSTGRES_EPOCH).view(_INSTANT)
