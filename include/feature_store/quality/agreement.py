"""What the reconciliation of two sources means for a feature: whether they agree, and how far to trust its points."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.quality.assessments import Assessment, assess
from feature_store.quality.reconciliation import DAYS, PAIRS, Pair
from feature_store.quality.results import RuleResult

SUITE = "reconciliation"

_NEWEST_VERDICT = """
select distinct on (right_series) ts, left_value, right_series, right_value, agrees
from quality.reconciliation
where quantity = %s and left_source = %s and right_source = %s and ts >= %s
order by right_series, ts desc, reconciliation_id desc
"""
# Of many that contradict it, as venues do, most have to: one of them alone is wrong itself.
_ASSESSED = """
with newest as (
  select distinct on (right_series, ts) ts, agrees
  from quality.reconciliation
  where quantity = %(quantity)s and left_source = %(left)s and right_source = %(right)s and ts >= %(since)s
  order by right_series, ts, reconciliation_id desc
),

judged as (
  select ts, avg((not agrees)::int) > 0.5 as is_contradicted from newest group by ts
)

select
  held.version, held.ts, held.available_at, held.ingested_at, quality.confidence_of(told.factors), told.factors
from judged
join features.features_values as held on held.feature_id = %(feature)s and held.ts = judged.ts
cross join lateral (
  select
    coalesce(held.meta -> 'confidence', jsonb_build_object('source', held.confidence))
    || case when is_contradicted then jsonb_build_object('agreement', quality.factor_of('agreement')) else '{}' end
      as factors
) as told
"""


def assess_agreement(conn: psycopg.Connection, catalog: Catalog, run_id: str) -> int:
    """Lower the confidence of points that a second source contradicts, and give it back to those it no longer does.

    Looks as far back as the reconciliation, at pairs whose numbers are of the points themselves, not of a whole day.
    Returns how many assessments are new; commits.
    """
    since = clock.now(conn) - timedelta(days=DAYS)
    added = 0
    for feature in catalog.features.values():
        for pair in _pairs(feature):
            if pair.left.shape == "as it is":
                added += assess(conn, run_id, _assessments(conn, feature, pair, since))
    conn.commit()
    return added


def _assessments(conn: psycopg.Connection, feature: FeatureSpec, pair: Pair, since: datetime) -> list[Assessment]:
    asked = {
        "feature": feature.id,
        "quantity": pair.quantity,
        "left": pair.left.slug,
        "right": pair.right.slug,
        "since": since,
    }
    return [Assessment(feature.id, *row) for row in conn.execute(_ASSESSED, asked).fetchall()]


def agreement_results(conn: psycopg.Connection, features: Sequence[FeatureSpec], now: datetime) -> Iterator[RuleResult]:
    """For each feature that has a second source whether the newest numbers of both agree."""
    for feature in features:
        pairs = _pairs(feature)
        compared = [(pair, row) for pair in pairs for row in _newest_verdicts(conn, pair, now)]
        apart = [_words(pair, row) for pair, row in compared if not row[-1]]
        if pairs:
            yield RuleResult(
                suite=SUITE,
                rule="agreement",
                severity="warn",
                scope="table",
                feature=feature.id,
                success=not apart,
                checked=len(compared),
                failed=len(apart),
                observed="; ".join(apart) or f"{len(compared)} numbers of other sources that agree",
                expected="; ".join(f"{pair.quantity} at most {100 * pair.tolerance:.10g} % apart" for pair in pairs),
                reason="; ".join(pair.reason for pair in pairs),
            )


def _newest_verdicts(conn: psycopg.Connection, pair: Pair, now: datetime) -> list[tuple[Any, ...]]:
    asked = (pair.quantity, pair.left.slug, pair.right.slug, now - timedelta(days=DAYS))
    return conn.execute(_NEWEST_VERDICT, asked).fetchall()


def _words(pair: Pair, row: tuple[Any, ...]) -> str:
    ts, left, series, right, _ = row
    return f"{pair.right.slug} ({series}) says {right:.10g} of {ts.isoformat()}, {pair.left.slug} {left:.10g}"


def _pairs(feature: FeatureSpec) -> list[Pair]:
    return [pair for pair in PAIRS if pair.left.feeds(feature)]
