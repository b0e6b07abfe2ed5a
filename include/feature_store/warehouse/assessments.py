"""Later assessments of versions as Arrow: what their confidence is for who asks as of an instant."""

from datetime import datetime

import numpy as np
import pyarrow as pa
from psycopg import sql

from feature_store.warehouse.versions import INSTANT, KEY, VERSIONS, Hot

ASSESSMENTS = pa.schema(
    [
        *(VERSIONS.field(name) for name in KEY),
        pa.field("assessed_at", INSTANT, nullable=False),
        VERSIONS.field("confidence"),
        pa.field("reasons", pa.string(), nullable=False),
    ]
)
"""A row of quality.confidence but for its run; `reasons` is JSON text: an object of numbers."""

_LAST = sql.SQL(
    """select distinct on ({key}) {key}, assessed_at, confidence, reasons::text as reasons
       from quality.confidence
       where feature_id = {feature} and ts >= {since} and ts < {until} and assessed_at <= {assessed_by}
       order by {key}, assessed_at desc"""
)


def last_assessments(
    hot: Hot,
    feature: str,
    since: datetime | None = None,
    until: datetime | None = None,
    assessed_by: datetime | None = None,
) -> pa.Table:
    """The last assessments up to `assessed_by` of a feature's versions with since <= ts < until; not all have one.

    Instants are aware; None bounds nothing. Rows are ASSESSMENTS.
    """
    query = _LAST.format(
        key=sql.SQL(", ").join(map(sql.Identifier, KEY)),
        feature=feature,
        since=since or sql.SQL("'-infinity'"),
        until=until or sql.SQL("'infinity'"),
        assessed_by=assessed_by or sql.SQL("'infinity'"),
    )
    return hot.ask(query, ASSESSMENTS).read_all()


def with_confidence(versions: pa.Table, assessments: pa.Table) -> pa.Table:
    """The versions, which have KEY and their confidence at ingest, with the confidence of their assessments."""
    if not (versions.num_rows and assessments.num_rows):
        return versions
    placed = versions.select(KEY).append_column("place", pa.array(np.arange(versions.num_rows)))
    found = placed.join(assessments.select([*KEY, "confidence"]), list(KEY), join_type="inner")
    confidence = versions["confidence"].to_numpy().copy()
    confidence[found["place"].to_numpy()] = found["confidence"].to_numpy()
    at = versions.schema.get_field_index("confidence")
    return versions.set_column(at, versions.field(at), pa.array(confidence))
