"""Where a value comes from: back to the bytes of an answer, or to the versions it was computed from."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.archive.versions import VersionReader
from feature_store.errors import QueryError
from feature_store.serving.points import Asked
from feature_store.warehouse.versions import INSTANT, KEY, VERSIONS, Hot, eligible, newest_of_each

_FETCHES = sql.SQL(
    """select asked.fetch_id, asked.source, asked.stream, asked.url, asked.status, asked.fetched_at, asked.sha256,
         payload.size_bytes, payload.uri, payload.content is not null as is_in_database, payload.expired_at
       from raw.fetches as asked left join raw.payloads as payload using (sha256)
       where asked.fetch_id = any({}) order by asked.fetch_id"""
)


@dataclass(frozen=True)
class Source:
    """One answer of a source: `payload` says where its bytes lie, or that they have expired."""

    source: str
    stream: str
    url: str
    status: int | None
    fetched_at: datetime
    sha256: str | None
    size_bytes: int | None
    payload: str
    """An s3:// URI, `database`, `expired`, or `none` where no answer came."""
    expired_at: datetime | None
    """When the store let go of the bytes, UTC, by its clock."""


@dataclass(frozen=True)
class Assessed:
    """Why the confidence of a version is not the one that it was ingested with."""

    assessed_at: datetime
    """UTC, by the store's clock."""
    reasons: dict[str, float]
    """The factors that the confidence was made of, by their names."""
    confidence_at_ingest: float


@dataclass(frozen=True)
class Explained:
    """A version of a point, and what it was made of: answers of sources, or versions of other features."""

    feature_id: str
    version: int
    ts: datetime
    value: float | None
    available_at: datetime
    available_basis: str
    ingested_at: datetime
    is_provisional: bool
    confidence: float
    meta: dict[str, Any]
    assessment: Assessed | None = None
    """None where the confidence is that at ingest."""
    sources: list[Source] = field(default_factory=list)
    inputs: list["Explained"] = field(default_factory=list)


def explain(
    versions: VersionReader, hot: Hot, feature: str, definition: int | None, ts: datetime, asked: Asked
) -> Explained:
    """The version that a point has in a state, and where it comes from; QueryError when it has none."""
    rows = versions.read([feature], ts, ts + timedelta(microseconds=1)).read_all()
    rows = eligible(
        rows.filter(pc.field("version") == definition), asked.known_at, asked.stored_at, strict=asked.strict
    )
    if not rows.num_rows:
        raise QueryError(f"{feature} has no point at {ts.isoformat()} in that state: `revisions` lists its versions")
    return _explained(versions, hot, newest_of_each(rows), asked.assessed_by)


def _explained(versions: VersionReader, hot: Hot, row: pa.Table, assessed_by: datetime | None) -> Explained:
    [version] = row.select(
        [name for name in VERSIONS.names if name not in {"evidence", "correction", "xid"}]
    ).to_pylist()
    evidence = json.loads(row["evidence"][0].as_py())
    fetches = [item["fetch"] for item in evidence if "fetch" in item]
    inputs = [
        _input(versions, hot, item, version["ingested_at"], assessed_by) for item in evidence if "feature" in item
    ]
    sources = [_source(row) for row in hot.ask(_FETCHES.format(fetches)).read_all().to_pylist()] if fetches else []
    told = {**version, "meta": json.loads(version["meta"]), **_assessed(versions, row, assessed_by)}
    return Explained(**told, sources=sources, inputs=inputs)


def _assessed(versions: VersionReader, row: pa.Table, assessed_by: datetime | None) -> dict[str, Any]:
    """What the last assessment of a version says instead of it."""
    [feature], [ts] = row["feature_id"].to_pylist(), row["ts"].to_pylist()
    of_point = versions.assessments(feature, ts, ts + timedelta(microseconds=1), assessed_by)
    for last in of_point.join(row.select(KEY), list(KEY), join_type="inner").to_pylist():
        reasons = Assessed(last["assessed_at"], json.loads(last["reasons"]), row["confidence"][0].as_py())
        return {"confidence": last["confidence"], "assessment": reasons}
    return {}


def _input(
    versions: VersionReader, hot: Hot, key: dict[str, Any], stored_at: datetime, assessed_by: datetime | None
) -> Explained:
    """The version of an input that a value was computed from: the newest of its key when the value was stored."""
    ts, available_at = (datetime.fromisoformat(key[name]) for name in ("ts", "available_at"))
    rows = versions.read([key["feature"]], ts, ts + timedelta(microseconds=1)).read_all()
    told = rows.filter(
        (pc.field("version") == key["version"])
        & (pc.field("available_at") == pa.scalar(available_at, INSTANT))
        & (pc.field("ingested_at") <= pa.scalar(stored_at, INSTANT))
    )
    if not told.num_rows:
        raise QueryError(
            f"the input {key['feature']} at {key['ts']} is not held: `feature-store archive verify` tells what is lost"
        )
    return _explained(versions, hot, newest_of_each(told), assessed_by)


def _source(row: dict[str, Any]) -> Source:
    is_in_database = row.pop("is_in_database")
    uri = row.pop("uri")
    row.pop("fetch_id")
    # What expired has its URI until it is deleted there.
    kept = "database" if is_in_database else "expired" if row["expired_at"] else uri
    place = "none" if row["sha256"] is None else kept
    return Source(**row, payload=place)
