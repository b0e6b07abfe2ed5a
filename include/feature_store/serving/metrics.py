"""What operating the store needs to know, as Prometheus takes it: read from the database, which every process adds to.

Each series has a sample from the start: the catalog says which there are. Counters never fall, whatever is retired,
moved or deleted. https://prometheus.io/docs/practices/naming/, https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf, nan
from typing import Any
from urllib.parse import urlsplit

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from feature_store.archive.verify import EXPIRY
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import Source

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, inf)
"""Seconds: an answer counts for the first that it is not above."""

_STATUSES = ("2xx", "4xx", "5xx")
_OUTCOMES = ("loaded", "rejected", "failed")
_PUBLISH = "publish"

_APPENDED = "select feature_id, appended from ops.feature_writes"
_FETCHES = "select source, stream, series, outcome, fetches from ops.fetch_counts"
_REJECTS = "select source, stream, series, feature_id, rejects from ops.reject_counts"
_OPEN_REJECTS = "select source, count(*) from raw.rejects where resolved_at is null group by source"
_AGES = "select feature_id, extract(epoch from age)::float8 from features.latest"
_COVERAGE = """
select of.feature_id, newest.ratio
from unnest(%s::text[]) as of (feature_id)
cross join lateral (
  select 1 - rows_failed / nullif(rows_checked, 0)::float8 as ratio from quality.results as r
  where r.feature_id = of.feature_id and r.rule = 'coverage'
  order by checked_at desc, result_id desc limit 1
) as newest
"""
_DURATIONS = "select endpoint, status, le, requests, seconds from ops.api_durations"
_SIZES = """
select layer, size_bytes from ops.layer_sizes
union all
select 'hot', pg_database_size(current_database())
union all
select 'parquet', coalesce(sum(size_bytes), 0)::bigint from ops.exported_files where exported_at > ops.real_now() - %s
"""
_CIRCUITS = "select source, host from ops.circuits where until > ops.real_now()"
_LAGS = "select layer, extract(epoch from ops.real_now() - until)::float8 from ops.archived_until"
_DIRTY = "select count(*) from ops.dirty_days"
_WAITING = "select count(*) from raw.payloads where content is not null"
_INCIDENTS = "select severity, count(*) from quality.incidents where recovered_at is null group by severity"


def read_metrics(conn: psycopg.Connection, catalog: Catalog, endpoints: Sequence[str]) -> Iterator[Metric]:
    """Every metric with its samples; `endpoints` are the paths of the API whose answers are timed."""
    yield from _of_features(conn, catalog)
    yield from _of_sources(conn, catalog)
    yield from _of_api(conn, endpoints)
    yield from _of_archive(conn)
    incidents = dict.fromkeys(("block", "warn"), 0.0) | _read(conn, _INCIDENTS)
    yield _gauge("feature_store_incidents_open", "Breaches of rules that no check found mended.", "severity", incidents)


def _of_features(conn: psycopg.Connection, catalog: Catalog) -> Iterator[Metric]:
    features = catalog.features
    none = dict.fromkeys(features, 0.0)
    appended = {name: count for name, count in _read(conn, _APPENDED).items() if name in features}
    yield _counter("feature_ingest", "Point versions committed.", "feature", none | appended)
    yield _counter(
        "feature_ingest_fail",
        "Rows and candidates kept out, answers that could not be read, and requests that failed.",
        "feature",
        none | _failures(conn, catalog),
    )
    yield _gauge(
        "feature_freshness_seconds",
        "Age of the newest point, without the time in which its calendar was closed; infinite before the first.",
        "feature",
        dict.fromkeys(features, inf) | {name: age for name, age in _read(conn, _AGES).items() if name in features},
    )
    yield _gauge(
        "feature_ttl_seconds",
        "Age above which a feature is stale.",
        "feature",
        {name: feature.ttl_ms / 1000 for name, feature in features.items()},
    )
    covered = {name: 1.0 if ratio is None else ratio for name, ratio in _rows(conn, _COVERAGE, (list(features),))}
    yield _gauge(
        "feature_coverage_ratio",
        "Points present over points expected by the calendar, 0 to 1, by the last check; NaN before the first.",
        "feature",
        dict.fromkeys(features, nan) | covered,
    )


def _failures(conn: psycopg.Connection, catalog: Catalog) -> dict[str, float]:
    """By feature: what was kept out of it, and what failed of the series it is made from."""
    kept_out: defaultdict[str, float] = defaultdict(float)
    of_series: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for source, stream, series, feature, rejects in _rows(conn, _REJECTS):
        if feature:
            kept_out[feature] += rejects
        else:
            of_series[source, stream, series] += rejects
    for source, stream, series, outcome, fetches in _rows(conn, _FETCHES):
        if outcome == "failed":
            of_series[source, stream, series] += fetches
    return {
        name: kept_out[name] + _of_series(catalog, feature, of_series) for name, feature in catalog.features.items()
    }


def _of_series(catalog: Catalog, feature: FeatureSpec, of_series: Mapping[tuple[str, str, str], float]) -> float:
    """Of a feature's own series, and of requests that are for all series of its stream."""
    if feature.stream is None:
        return 0.0
    slug = catalog.source(feature.source.id).slug
    return sum(of_series.get((slug, feature.stream, series), 0.0) for series in {feature.series or "", ""})


def _of_sources(conn: psycopg.Connection, catalog: Catalog) -> Iterator[Metric]:
    slugs = [source.slug for source in catalog.sources.values()]
    fetches = dict.fromkeys([(slug, outcome) for slug in slugs for outcome in _OUTCOMES], 0.0)
    for source, _, _, outcome, count in _rows(conn, _FETCHES):
        fetches[source, outcome] = fetches.get((source, outcome), 0.0) + count
    family = CounterMetricFamily(
        "feature_store_fetches", "Requests to sources by what became of them.", labels=("source", "outcome")
    )
    yield _filled(family, fetches.items())
    rejects = dict.fromkeys([*slugs, _PUBLISH], 0.0)
    for source, _, _, _, count in _rows(conn, _REJECTS):
        rejects[source] = rejects.get(source, 0.0) + count
    yield _counter("feature_store_rejects", "What was kept out, with its reason in raw.rejects.", "source", rejects)
    yield _gauge(
        "feature_store_rejects_open",
        "What is kept out and was not accepted since.",
        "source",
        dict.fromkeys([*slugs, _PUBLISH], 0.0) | _read(conn, _OPEN_REJECTS),
    )
    circuits = dict.fromkeys([(source.slug, host) for source in catalog.sources.values() for host in _hosts(source)], 0)
    circuits |= dict.fromkeys(_rows(conn, _CIRCUITS), 1)
    yield _filled(
        GaugeMetricFamily(
            "feature_store_circuit_open", "1 while a host that gave trouble is left alone.", labels=("source", "host")
        ),
        circuits.items(),
    )


def _hosts(source: Source) -> list[str]:
    """The hosts that a source is asked at, as far as the catalog knows them."""
    roots = [source.base_url, *source.hosts.values(), *(stream.base_url for stream in source.streams.values())]
    return sorted({urlsplit(root).hostname or "" for root in roots if root is not None})


def _of_api(conn: psycopg.Connection, endpoints: Sequence[str]) -> Iterator[Metric]:
    took = {endpoint: dict.fromkeys(BUCKETS, 0.0) for endpoint in endpoints}
    seconds = dict.fromkeys(endpoints, 0.0)
    requests = dict.fromkeys([(endpoint, status) for endpoint in endpoints for status in _STATUSES], 0.0)
    for endpoint, status, le, count, sum_of_seconds in _rows(conn, _DURATIONS):
        took[endpoint][le] += count
        seconds[endpoint] += sum_of_seconds
        requests[endpoint, status] += count
    family = HistogramMetricFamily(
        "feature_query_duration_seconds", "How long answers of the API took, to their last byte.", labels=("endpoint",)
    )
    for endpoint in endpoints:
        family.add_metric((endpoint,), _cumulated(took[endpoint]), seconds[endpoint])
    yield family
    yield _filled(
        CounterMetricFamily(
            "feature_store_api_requests", "Answers of the API by class of status.", labels=("endpoint", "status")
        ),
        requests.items(),
    )


def _cumulated(counts: Mapping[float, float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for le in sorted(counts):
        total += counts[le]
        buckets.append(("+Inf" if le == inf else str(le), total))
    return buckets


def _of_archive(conn: psycopg.Connection) -> Iterator[Metric]:
    layers = dict.fromkeys(("hot", "parquet", "history", "payloads"), 0.0)
    yield _gauge(
        "feature_storage_size_bytes",
        "Size of the database, of the exported files, of the history, and of the bytes of answers on S3.",
        "layer",
        layers | dict(_rows(conn, _SIZES, (EXPIRY,))),
    )
    lags = _read(conn, _LAGS)
    yield GaugeMetricFamily(
        "feature_store_export_lag_seconds",
        "Real time since the beginning of the last export that wrote everything.",
        lags["parquet"],
    )
    yield GaugeMetricFamily(
        "feature_store_history_lag_seconds",
        "Real time since the beginning of the last commit to the history.",
        lags["history"],
    )
    yield GaugeMetricFamily("feature_store_dirty_days", "Days of features still to be exported.", _one(conn, _DIRTY))
    yield GaugeMetricFamily(
        "feature_store_payloads_waiting", "Answers whose bytes are still to be moved to S3.", _one(conn, _WAITING)
    )


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=(label,)), (((of,), value) for of, value in values.items()))


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=(label,)), (((of,), value) for of, value in values.items()))


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Iterable[tuple[tuple[str, ...], float]]
) -> CounterMetricFamily | GaugeMetricFamily:
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _rows(conn: psycopg.Connection, query: str, values: Sequence[object] = ()) -> Iterable[tuple[Any, ...]]:
    return conn.execute(query.encode(), values or None).fetchall()


def _read(conn: psycopg.Connection, query: str) -> dict[str, float]:
    return dict(_rows(conn, query))


def _one(conn: psycopg.Connection, query: str) -> float:
    [(value,)] = _rows(conn, query)
    return float(value)
