"""Freshness: how old the newest point of each feature is, measured against its ttl."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from feature_store.catalog import FeatureSpec
from feature_store.quality.results import RuleResult, plain

SUITE = "freshness"


def freshness_results(
    features: Sequence[FeatureSpec], ages: Mapping[str, timedelta], max_ratio: float
) -> Iterator[RuleResult]:
    """For each feature whether its newest point is young enough; one that has none fails."""
    for feature in features:
        ratio = ratio_of(feature, ages.get(feature.id))
        ttl = timedelta(milliseconds=feature.ttl_ms)
        yield RuleResult(
            suite=SUITE,
            rule="freshness",
            severity="block",
            scope="table",
            feature=feature.id,
            success=ratio is not None and ratio <= max_ratio,
            checked=None,
            failed=None,
            observed="no point"
            if ratio is None
            else f"an age of {_words(ages[feature.id])}, {plain(round(ratio, 3))} of its ttl",
            expected=f"an age of at most {plain(max_ratio)} times its ttl of {_words(ttl)}",
            reason="FEATURE_DQ_FRESHNESS_MAX_RATIO; while its calendar is closed a feature does not age",
        )


def ratio_of(feature: FeatureSpec, age: timedelta | None) -> float | None:
    """Age over ttl; None without a point."""
    return None if age is None else age / timedelta(milliseconds=feature.ttl_ms)


def _words(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
