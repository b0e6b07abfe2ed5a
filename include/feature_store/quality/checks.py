"""The periodic checks: what holds of each feature now, and of the raw tables it comes from.

A rule of severity block fails its task and calls people; one of severity warn is told. Where a feature breaks several
rules the first of RULES is the *primary* one: what stands further down usually follows from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import psycopg

from feature_store import clock
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.quality.agreement import agreement_results
from feature_store.quality.changes import WINDOW, runs
from feature_store.quality.coverage import Coverage, Instants, coverage, coverage_results, micros, window_of
from feature_store.quality.freshness import freshness_results, ratio_of
from feature_store.quality.results import RuleResult, plain
from feature_store.settings import Settings
from feature_store.warehouse.landing import WALKED

SUITE = "checks"

BLOCKED = ("sign", "unit", "jump", "expected_range")
"""Rules that keep a point out and say something about its feature."""
RULES = (
    "schema", *BLOCKED, "flat_line", "duplicate", "freshness", "coverage", "gap", "outlier", "venues", "agreement",
)  # fmt: skip
"""The rules that a feature is checked by, the most telling first."""

SPARKS = 24
"""Newest values that a sparkline shows."""

USUAL_SHARE = 0.005
"""Share of points that may be outliers: no real history that we know has more."""

_NOW_HELD = """
select v.feature_id, (extract(epoch from v.ts) * 1000000)::bigint as at, v.value
from unnest(%s::text[], %s::timestamptz[]) as asked (feature_id, since)
join features.features_values as v on v.feature_id = asked.feature_id and v.ts >= asked.since
order by 1, 2
"""
_FINDINGS = """
select f.feature_id, f.rule, count(*), (array_agg(f.ts::text || ': ' || f.reason order by f.ts desc))[1]
from unnest(%s::text[], %s::timestamptz[]) as asked (feature_id, since)
join quality.findings as f on f.feature_id = asked.feature_id and f.ts >= asked.since
where f.severity = 'warn'
group by 1, 2
"""
_KEPT_OUT = """
select feature_id, rule, count(*), (array_agg(ts::text || ': ' || reason order by ts desc))[1]
from raw.rejects
where resolved_at is null and feature_id = any(%s) and rule = any(%s)
group by 1, 2
"""
# What the newest answer of each series came to.
_ANSWERS = """
select asked.feature_id, kept.reason
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) as asked (feature_id, source, stream, series)
cross join lateral (
  select f.fetch_id from raw.fetches as f
  where f.source = asked.source and f.stream = asked.stream and f.series = asked.series
    and f.outcome in ('loaded', 'rejected')
  order by f.fetched_at desc, f.fetch_id desc limit 1
) as newest
join raw.rejects as kept on kept.fetch_id = newest.fetch_id and kept.feature_id is null and kept.resolved_at is null
"""
# Until when a new store lived through the past of each stream: that takes no longer than the stream's first day.
_WALKED_UNTIL = """
select asked.feature_id, max(walked.fetched_at)
from unnest(%s::text[], %s::text[], %s::text[]) as asked (feature_id, source, stream)
cross join lateral (
  select f.fetched_at from raw.fetches as f
  where f.source = asked.source and f.stream = asked.stream order by f.fetched_at limit 1
) as first
join raw.fetches as walked
  on walked.source = asked.source and walked.stream = asked.stream and walked.run_id = %s
  and walked.fetched_at <= first.fetched_at + interval '1 day'
group by 1
"""


@dataclass(frozen=True)
class Checked:
    """What the checks found of one feature."""

    feature: FeatureSpec
    coverage: Coverage
    age: timedelta | None
    """Of its newest point, closed time left out; None without one."""
    values: tuple[float, ...]
    """The newest values, oldest first."""
    results: tuple[RuleResult, ...]
    """One for each rule that applies, as RULES are ordered."""

    @property
    def outliers(self) -> int:
        """Points of its window that lie out of their band."""
        [found] = [result.failed or 0 for result in self.results if result.rule == "outlier"]
        return found

    @property
    def ratio(self) -> float | None:
        """Its age over its ttl; None without a point."""
        return ratio_of(self.feature, self.age)

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """The rules that do not hold, the primary one first."""
        return tuple(result for result in self.results if not result.success)

    @property
    def verdict(self) -> str:
        """block, warn or ok."""
        severities = {result.severity for result in self.failures}
        return "block" if "block" in severities else "warn" if severities else "ok"


def check_features(
    conn: psycopg.Connection, settings: Settings, catalog: Catalog, features: Sequence[FeatureSpec]
) -> list[Checked]:
    """Check features as they are now; changes nothing. What has no point and no connector is left out."""
    now = clock.now(conn)
    names = [feature.id for feature in features]
    latest = "select feature_id, age, is_stale from features.latest where feature_id = any(%s)"
    newest = conn.execute(latest, (names,)).fetchall()
    ages: dict[str, timedelta] = {name: age for name, age, _ in newest}
    fresh = {name for name, _, is_stale in newest if not is_stale}
    due = [f for f in features if f.id in ages or (f.is_connected and catalog.connected(f.source.id))]
    held = _held(conn, settings, due, now)
    counted = _counted(conn, catalog, due, {name: at for name, (at, _) in held.items()})
    covered = {f.id: coverage(f, counted[f.id], now, is_stale=f.id not in fresh) for f in due}
    results = [
        *freshness_results(due, ages, settings.dq_freshness_max_ratio),
        *coverage_results(due, covered, settings.dq_coverage_min),
        *(result for feature in due for result in _frozen(feature, held[feature.id][1])),
        *_found(conn, due, covered, now),
        *_kept_out(conn, due),
        *_answers(conn, due, catalog),
        *_venues(conn, due),
        *agreement_results(conn, due, now),
    ]
    conn.commit()
    by_feature = _by_feature(results)
    return [
        Checked(
            feature,
            covered[feature.id],
            ages.get(feature.id),
            tuple(held[feature.id][1][-SPARKS:].tolist()),
            by_feature[feature.id],
        )
        for feature in due
    ]


def _by_feature(results: Iterable[RuleResult]) -> dict[str | None, tuple[RuleResult, ...]]:
    ordered = sorted(results, key=lambda result: (str(result.feature), RULES.index(result.rule)))
    return {name: tuple(of_one) for name, of_one in groupby(ordered, key=lambda result: result.feature)}


def _held(
    conn: psycopg.Connection, settings: Settings, features: Sequence[FeatureSpec], now: datetime
) -> dict[str, tuple[Any, Any]]:
    """Instants and values of each feature's window; of intraday ones what has not retired."""
    kept = timedelta(days=settings.retention_days)
    since = [now - (window_of(f) if f.grain == "daily" else min(window_of(f), kept)) for f in features]
    rows = conn.execute(_NOW_HELD, ([f.id for f in features], since)).fetchall()
    held = {name: list(points) for name, points in groupby(rows, key=lambda row: row[0])}
    return {
        feature.id: (
            np.array([at for _, at, _ in held.get(feature.id, ())], np.int64),
            np.array([value for *_, value in held.get(feature.id, ())], float),
        )
        for feature in features
    }


def _counted(
    conn: psycopg.Connection,
    catalog: Catalog,
    features: Sequence[FeatureSpec],
    held: Mapping[str, Instants],
) -> dict[str, Instants | None]:
    """The instants that coverage counts; None where none is expected yet.

    Snapshots are counted from when their live tail runs: the day that a new store lived through came in longer steps.
    """
    snapshots = {}
    for feature in features:
        origin = feature if feature.is_connected or not feature.inputs else catalog.features[feature.inputs[0]]
        if origin.is_connected and catalog.source(origin.source.id).streams[str(origin.stream)].history == "none":
            snapshots[feature.id] = (catalog.source(origin.source.id).slug, str(origin.stream))
    asked = list(snapshots), [slug for slug, _ in snapshots.values()], [stream for _, stream in snapshots.values()]
    walked: dict[str, datetime] = dict(conn.execute(_WALKED_UNTIL, (*asked, WALKED)).fetchall())
    counted: dict[str, Instants | None] = dict(held)
    for name, until in walked.items():
        live = held[name][held[name] > micros(until)]
        counted[name] = live if live.size or not held[name].size else None
    return counted


def _frozen(feature: FeatureSpec, values: Any) -> Iterator[RuleResult]:
    """Whether the newest values move."""
    most = feature.quality.repeats
    if most is None:
        return
    newest = values[-WINDOW:]
    run = int(runs(newest)[-1]) if newest.size else 0
    allowed = max(most, 2)
    yield _result(
        feature,
        "flat_line",
        success=run <= allowed,
        observed=f"the same value, {plain(float(newest[-1]))}, {run} times in a row" if run > 1 else "values that move",
        expected=f"the same value at most {allowed} times in a row",
        reason="quality.repeats of the catalog: beyond it the source is frozen, or serves a copy",
    )


def _found(
    conn: psycopg.Connection, features: Sequence[FeatureSpec], covered: dict[str, Coverage], now: datetime
) -> Iterator[RuleResult]:
    """Outliers, and copies of the value before, in each feature's window."""
    asked = [f.id for f in features], [now - window_of(f) for f in features]
    found = {(name, rule): told for name, rule, *told in conn.execute(_FINDINGS, asked)}
    for feature in features:
        for rule in ("outlier", "duplicate") if feature.quality.repeats == 1 else ("outlier",):
            count, newest = found.get((feature.id, rule), (0, ""))
            points = covered[feature.id].present
            yield _result(
                feature,
                rule,
                success=count <= USUAL_SHARE * points,
                checked=points,
                failed=count,
                observed=f"{count} of {points} points, the newest {newest}" if count else "none",
                expected=f"at most {100 * USUAL_SHARE:.10g} % of the points",
                reason="no real history that we know has more",
            )


def _kept_out(conn: psycopg.Connection, features: Sequence[FeatureSpec]) -> Iterator[RuleResult]:
    """Points that wait in raw.rejects, by the rule that keeps them out."""
    rows = conn.execute(_KEPT_OUT, ([f.id for f in features], list(BLOCKED)))
    found = {(name, rule): told for name, rule, *told in rows}
    for feature in features:
        for rule in BLOCKED:
            count, newest = found.get((feature.id, rule), (0, ""))
            yield _result(
                feature,
                rule,
                severity="block",
                success=count == 0,
                failed=count,
                observed=f"{count} points kept out, the newest {newest}" if count else "none",
                expected="no point that is kept out",
                reason="what is kept out is missing until the source corrects it, or somebody the catalog",
            )


def _answers(conn: psycopg.Connection, features: Sequence[FeatureSpec], catalog: Catalog) -> Iterator[RuleResult]:
    """Whether the newest answer about a feature's series could be read."""
    asked = [(f, catalog.source(f.source.id).slug) for f in features if f.is_connected]
    columns = [[f.id for f, _ in asked], [slug for _, slug in asked]]
    columns += [[str(f.stream) for f, _ in asked], [str(f.series) for f, _ in asked]]
    unread: dict[str, str] = dict(conn.execute(_ANSWERS, columns).fetchall())
    for feature, slug in asked:
        yield _result(
            feature,
            "schema",
            severity="block",
            success=feature.id not in unread,
            observed=unread.get(feature.id, "an answer that could be read"),
            expected=f"an answer in the form that the connector {slug} knows",
            reason="a source that changes its form goes on in silence: nothing of it is loaded until it is read right",
        )


def _venues(conn: psycopg.Connection, features: Sequence[FeatureSpec]) -> Iterator[RuleResult]:
    """Whether every venue is in the newest point of a sum over venues."""
    rows = conn.execute(
        "select feature_id, meta from features.latest_values where meta ? 'venues' and feature_id = any(%s)",
        ([f.id for f in features],),
    )
    by_id = {f.id: f for f in features}
    for name, meta in rows.fetchall():
        missing = meta.get("missing", {})
        answered = len(meta["venues"])
        yield _result(
            by_id[name],
            "venues",
            success=not missing,
            checked=answered + len(missing),
            failed=len(missing),
            observed=f"{answered} of {answered + len(missing)} venues"
            + "".join(f"; {venue} is missing: {why}" for venue, why in sorted(missing.items())),
            expected="every venue in the newest point",
            reason="a sum over fewer venues is smaller, and its confidence is by as much",
        )


def _result(  # noqa: PLR0913 - what a RuleResult has
    feature: FeatureSpec,
    rule: str,
    *,
    success: bool,
    observed: str,
    expected: str,
    reason: str,
    severity: Any = "warn",
    checked: int | None = None,
    failed: int | None = None,
) -> RuleResult:
    return RuleResult(SUITE, rule, severity, "table", feature.id, success, checked, failed, observed, expected, reason)
