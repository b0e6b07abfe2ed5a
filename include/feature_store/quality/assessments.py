"""Later assessments: what is thought of versions after they were ingested, and since when."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

import psycopg

from feature_store.errors import QualityError

Key = tuple[str, int, datetime, datetime, datetime]

_COLUMNS = "feature_id, version, ts, available_at, ingested_at"

# The bounds let the planner leave out partitions before it joins.
_HELD = f"""
select own.confidence, last.confidence, last.reasons, retired.day is not null
from unnest(%(feature_id)s::text[], %(version)s::int[], %(ts)s::timestamptz[], %(available_at)s::timestamptz[],
            %(ingested_at)s::timestamptz[]) with ordinality as asked ({_COLUMNS}, place)
left join (
  select {_COLUMNS}, confidence from features.features_versions
  where feature_id = any(%(feature_id)s) and ts between %(first)s and %(last)s
) as own using ({_COLUMNS})
left join lateral (
  select held.confidence, held.reasons from quality.confidence as held
  where (held.feature_id, held.version, held.ts, held.available_at, held.ingested_at)
    = (asked.feature_id, asked.version, asked.ts, asked.available_at, asked.ingested_at)
  order by held.assessed_at desc limit 1
) as last on true
left join ops.retired_days as retired
  on retired.feature_id = asked.feature_id and retired.day = (asked.ts at time zone 'UTC')::date
order by asked.place
"""  # noqa: S608 - names of our own

# As of versions: one instant is never another state of the same feature, whatever the clock does.
_STAMP = """
with stamped as (
  select greatest(ops.now(), max(last_ingested_at) + interval '1 microsecond') as assessed_at
  from ops.feature_writes where feature_id = any(%(features)s)
)
update ops.feature_writes set last_ingested_at = stamped.assessed_at
from stamped where feature_id = any(%(features)s)
returning stamped.assessed_at
"""


@dataclass(frozen=True)
class Assessment:
    """What is thought of a version, named by its key (instants aware); raises QualityError where that is no number."""

    feature_id: str
    version: int
    ts: datetime
    available_at: datetime
    ingested_at: datetime
    confidence: float
    """0 to 1."""
    reasons: Mapping[str, float]
    """The factors it was made of, by their names."""

    def __post_init__(self) -> None:
        if not (0 <= self.confidence <= 1 and all(map(isfinite, self.reasons.values()))):
            raise QualityError(f"{self} is no assessment: confidence is 0 to 1, and reasons are numbers")

    @property
    def key(self) -> Key:
        """What names the version."""
        return self.feature_id, self.version, self.ts, self.available_at, self.ingested_at


def assess(conn: psycopg.Connection, run_id: str, assessments: Iterable[Assessment]) -> int:
    """Append the assessments that say something new, at the store's now, and return how many; does not commit.

    New is what differs from the last assessment of the version or, without one, from its confidence at ingest; of
    several of one version the last counts. Until the end of the transaction nobody else writes to these features.
    Raises QualityError for a version that the store does not have, or that lies in the history alone and was never
    assessed: its day has to be brought back first.
    """
    asked = list({each.key: each for each in assessments}.values())
    if not asked:
        return 0
    features = sorted({each.feature_id for each in asked})
    # As append_versions does: writers of a feature queue, in one order, and see what the one before has committed.
    conn.execute(
        "select from ops.feature_writes where feature_id = any(%s) order by feature_id for update", (features,)
    )
    fresh = [each for each, is_new in zip(asked, _news(conn, asked), strict=True) if is_new]
    if fresh:
        _append(conn, run_id, fresh)
    return len(fresh)


def _news(conn: psycopg.Connection, asked: Sequence[Assessment]) -> Iterable[bool]:
    """Of each assessment whether it differs from what is held."""
    columns = map(list, zip(*(each.key for each in asked), strict=True))
    instants = [each.ts for each in asked]
    bounds = {"first": min(instants), "last": max(instants)}
    held = conn.execute(_HELD, {**dict(zip(_COLUMNS.split(", "), columns, strict=True)), **bounds}).fetchall()
    for each, (own, confidence, reasons, is_retired) in zip(asked, held, strict=True):
        if confidence is not None:
            yield (each.confidence, dict(each.reasons)) != (confidence, reasons)
        elif own is not None:
            yield each.confidence != own
        else:
            raise QualityError(_unknown(each, is_retired=is_retired))


def _append(conn: psycopg.Connection, run_id: str, fresh: Sequence[Assessment]) -> None:
    stamp = conn.execute(_STAMP, {"features": sorted({each.feature_id for each in fresh})}).fetchone()
    assert stamp is not None
    with conn.cursor().copy(
        f"copy quality.confidence ({_COLUMNS}, assessed_at, confidence, reasons, run_id) from stdin"
    ) as copy:
        for each in fresh:
            copy.write_row((*each.key, stamp[0], each.confidence, json.dumps(dict(each.reasons)), run_id))


def _unknown(each: Assessment, *, is_retired: bool) -> str:
    version = (
        f"version {each.version} of {each.feature_id} at {each.ts.isoformat()}, available "
        f"{each.available_at.isoformat()}, ingested {each.ingested_at.isoformat()}"
    )
    if is_retired:
        return f"{version} lies in the history alone: bring its day back first (feature-store archive restore)"
    return f"there is no {version}: `revisions` lists the versions of a point"
