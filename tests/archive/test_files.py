"""The files against the table, read as people read them: equal to the last bit."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.archive.point_file import SCHEMA

from .store import A, Point, Store, key, table

DAY = "2024-03-04"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
COMPRESSIONS = ["snappy", "gzip", "lz4", "zstd"]
NASTY = [0.0, -0.0, 0.1, 1 / 3, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 6.5e12, 123456789.123456789]

HELD = """
select feature_id, (extract(epoch from ts) * 1000000)::bigint, value, confidence, meta,
       (extract(epoch from available_at) * 1000000)::bigint, available_basis,
       (extract(epoch from ingested_at) * 1000000)::bigint, is_provisional
from features.features_values order by feature_id, ts
"""
COLUMNS = (
    "featureId, epoch_us(ts), value, confidence, meta, epoch_us(availableAt), availableBasis, epoch_us(ingestedAt)"
)


def bits(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that compare equal only when every double has the same bits; JSON by what it says."""
    return [
        tuple(struct.pack("d", x) if isinstance(x, float) else json.dumps(x) if isinstance(x, dict) else x for x in row)
        for row in rows
    ]


def held(store: Store) -> list[tuple[Any, ...]]:
    rows = store.conn.execute(HELD).fetchall()
    store.conn.commit()
    return bits(rows)


def by_pyarrow(content: bytes) -> list[tuple[Any, ...]]:
    return [
        (
            row["featureId"], row["ts"].value, row["value"], row["confidence"], json.loads(row["meta"]),
            row["availableAt"].value, row["availableBasis"], row["ingestedAt"].value, row["provisional"],
        )
        for row in (
            {name: value.as_py() if name not in {"ts", "availableAt", "ingestedAt"} else value
             for name, value in zip(SCHEMA.names, values, strict=True)}
            for values in zip(*table(content).columns, strict=True)
        )
    ]  # fmt: skip


def by_pandas(content: bytes) -> list[tuple[Any, ...]]:
    frame = pd.read_parquet(io.BytesIO(content))
    for name in ("ts", "availableAt", "ingestedAt"):
        assert str(frame[name].dtype) == "datetime64[us, UTC]"
        frame[name] = frame[name].astype("int64")
    frame["meta"] = frame["meta"].map(json.loads)
    return list(frame.drop(columns="evidence").itertuples(index=False, name=None))


def by_duckdb(content: bytes, folder: Path) -> list[tuple[Any, ...]]:
    path = folder / "part-0.parquet"
    path.write_bytes(content)
    rows = duckdb.sql(f"select {COLUMNS}, provisional from read_parquet('{path}')").fetchall()
    return [(*row[:4], json.loads(row[4]), *row[5:]) for row in rows]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_pandas_duckdb_and_pyarrow_read_what_the_table_holds_to_the_last_bit(
    store: Store, tmp_path: Path, compression: str
) -> None:
    store.append(
        *(
            Point(f"{DAY} 00:00:{index:02}.{index:06}", value, meta={"n": index, "text": "line\nbreak ü \"'\\"})
            for index, value in enumerate(NASTY)
        )
    )
    store.export(FEATURE_STORE_PARQUET_COMPRESSION=compression)
    content = store.get(key(DAY))
    assert bits(by_pyarrow(content)) == held(store)
    assert bits(by_pandas(content)) == held(store)
    assert bits(by_duckdb(content, tmp_path)) == held(store)
    used = pq.read_metadata(io.BytesIO(content)).row_group(0).column(2).compression
    assert used.lower() == compression


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=st.dictionaries(
        st.integers(0, 86_400_000_000 - 1),
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), TEXTS),
        min_size=1,
        max_size=30,
    )
)
def test_whatever_the_values_and_texts_the_file_holds_them(store: Store, points: dict[int, tuple[float, str]]) -> None:
    store.conn.execute("truncate features.features_versions, features.features_values, features.latest_values")
    store.append(
        *(
            Point(str(pd.Timestamp(DAY) + pd.Timedelta(us, "us")), value, meta={"text": text})
            for us, (value, text) in points.items()
        )
    )
    store.export()
    assert bits(by_pyarrow(store.get(key(DAY)))) == held(store)


def test_a_file_is_a_feature_point_with_instants_in_utc_and_no_stamp_of_its_own(store: Store) -> None:
    store.append(Point(DAY))
    store.export()
    content = store.get(key(DAY))
    assert pq.read_schema(io.BytesIO(content)) == SCHEMA
    assert SCHEMA.names == [
        "featureId", "ts", "value", "confidence", "meta", "evidence", "availableAt", "availableBasis", "ingestedAt",
        "provisional",
    ]  # fmt: skip
    assert pq.read_metadata(io.BytesIO(content)).metadata is None
    assert A.encode() in content
