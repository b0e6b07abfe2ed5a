"""Freshness: how old the newest point of each feature is, measured against its ttl."""

from datetime import timedelta

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.quality.results import RuleResult, plain, record_results
from feature_store.settings import load_settings

SUITE = "freshness"


def check_freshness(
    conn: psycopg.Connection, catalog: Catalog, run_id: str = "manual", max_ratio: float | None = None
) -> list[dict[str, object]]:
    """Compare each feature's age with its ttl, add the results to `quality.results` and return them.

    A feature that a connector feeds and that has no point fails. A feature whose source has no connector yet
    is left out, and so is a derived or published one before its first point. `max_ratio` defaults to
    FEATURE_DQ_FRESHNESS_MAX_RATIO.
    """
    limit = load_settings().dq_freshness_max_ratio if max_ratio is None else max_ratio
    ages: dict[str, timedelta | None] = dict(conn.execute("select feature_id, age from features.latest").fetchall())
    now = clock.now(conn)
    results = [
        _result(feature, ages.get(feature.id), limit)
        for feature in catalog.features.values()
        if feature.id in ages or (feature.is_connected and catalog.connected(feature.source.id))
    ]
    record_results(conn, run_id, now, SUITE, results)
    conn.commit()
    return [
        {
            "feature_id": result.feature,
            "rule": result.rule,
            "success": result.success,
            "ratio": _ratio(catalog.features[str(result.feature)], ages.get(str(result.feature))),
            "observed": result.observed,
            "expected": result.expected,
        }
        for result in results
    ]


def _result(feature: FeatureSpec, age: timedelta | None, limit: float) -> RuleResult:
    ratio = _ratio(feature, age)
    ttl = timedelta(milliseconds=feature.ttl_ms)
    return RuleResult(
        rule="freshness",
        severity="warn",
        scope="table",
        feature=feature.id,
        success=ratio is not None and ratio <= limit,
        checked=None,
        failed=None,
        observed="no point" if age is None else f"an age of {_words(age)}, {plain(round(ratio or 0, 3))} of its ttl",
        expected=f"an age of at most {plain(limit)} times its ttl of {_words(ttl)}",
        reason="FEATURE_DQ_FRESHNESS_MAX_RATIO; while its calendar is closed a feature does not age",
    )


def _ratio(feature: FeatureSpec, age: timedelta | None) -> float | None:
    return None if age is None else age / timedelta(milliseconds=feature.ttl_ms)


def _words(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
