"""Confidence: how far a value can be trusted, 0 to 1, as a product of factors.

    source       how often the source tells the truth: `reliability` of the catalog
    venues       the share of the venues asked that answered, of a sum over venues
    provisional  0.8 where the source will still change the value by design
    backfilled   0.95 where the value may hold rewrites later than its time
    outlier      1 over the score (1 and below is usual), down to 0.2
    flat_line    0.7 at the point that makes a run of equal values too long
    duplicate    0.8 where the value of a feature that always moves came twice
    agreement    0.5 where another source of the same quantity contradicts it, found later
    (a blocking rule: 0, so what breaks one is never published)

The numbers and the product are SQL (`quality.factors_at_ingest`, `factor_of`, `confidence_of`), for dbt needs them too;
it is monotone in each factor, whatever the others are. `meta.confidence` of a version holds the factors wherever
another than the source's is among them. A derived value is as sure as the least sure of its inputs.
"""

from collections.abc import Sequence

import psycopg

from feature_store.quality.project import Failing

_LOWER = """
with found as (
  select feature_id, version, ts, available_at, jsonb_object_agg(rule, quality.factor_of(rule, score)) as factors
  from unnest(%s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::float8[])
    as told (feature_id, version, ts, available_at, rule, score)
  group by 1, 2, 3, 4
),

lowered as (
  select
    found.*,
    coalesce(c.meta -> 'confidence', jsonb_build_object('source', c.confidence)) || found.factors as all_factors
  from found
  join features.candidates as c using (feature_id, version, ts, available_at)
)

update features.candidates as c
set confidence = quality.confidence_of(l.all_factors), meta = c.meta || jsonb_build_object('confidence', l.all_factors)
from lowered as l
where (c.feature_id, c.version, c.ts, c.available_at) = (l.feature_id, l.version, l.ts, l.available_at)
"""


def lower_confidence(conn: psycopg.Connection, rows: Sequence[Failing]) -> None:
    """Lower the confidence of candidates that broke a warning, and say why in their meta."""
    if not rows:
        return
    told = [(row.feature_id, row.version, row.ts, row.available_at, row.rule, row.beside.get("score")) for row in rows]
    conn.execute(_LOWER, [list(column) for column in zip(*told, strict=True)])
