"""What Prometheus scrapes: every series from the start, counts that never fall, over processes and restarts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import inf, isnan
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from psycopg.types.json import Jsonb

from feature_store.archive import commit_history, export, move_payloads, set_up
from feature_store.catalog import load_catalog
from tests.archive.store import Server
from tests.conftest import database

from .conftest import settings_of
from .served import GAS, LIQUIDITY, NOW, PRICE, VIX, Served, Told, served, until
from .test_process import ask, process

Samples = dict[tuple[str, tuple[str, ...]], float]
"""Value by name and by the labels' values in the order of their names."""

HOUR = NOW - timedelta(hours=1)


@pytest.fixture
def own(server: str, template: str, s3: Server) -> Iterator[Served]:
    """A store of a test's own, with the points of `Served.fill`."""
    name = uuid4().hex[:12]
    with database(server, f"test_{name}", template) as dsn, psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        settings = settings_of(dsn, s3, name)
        set_up(settings)
        with served(conn, settings, load_catalog()) as store:
            store.fill()
            yield store


def scraped(text: str) -> Samples:
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def metrics(store: Served) -> Samples:
    with store.client(key="") as client:
        return scraped(client.get("/metrics").raise_for_status().text)


def of(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (found, labels), value in samples.items() if found == name}


def anew(store: Served, *expected: tuple[str, tuple[str, ...], float]) -> Samples:
    """The metrics once they say so: what was read is told for a second."""
    until(lambda: all(metrics(store)[name, labels] == value for name, labels, value in expected), "metrics follow")
    return metrics(store)


def test_every_series_has_a_sample_from_the_start(server: str, template: str, s3: Server) -> None:
    name = uuid4().hex[:12]
    with (
        database(server, f"test_{name}", template) as dsn,
        psycopg.connect(dsn, options="-c timezone=UTC") as conn,
        served(conn, settings_of(dsn, s3, name), load_catalog()) as empty,
    ):
        found = metrics(empty)
    features = {(feature,) for feature in load_catalog().features}
    for metric in ("feature_ingest_total", "feature_ingest_fail_total"):
        assert of(found, metric) == dict.fromkeys(features, 0)
    assert of(found, "feature_freshness_seconds") == dict.fromkeys(features, inf)
    assert of(found, "feature_coverage_ratio").keys() == features
    assert all(isnan(ratio) for ratio in of(found, "feature_coverage_ratio").values())
    assert min(of(found, "feature_ttl_seconds").values()) >= 60
    layers = of(found, "feature_storage_size_bytes")
    assert layers.keys() == {("hot",), ("parquet",), ("history",), ("payloads",)}
    assert layers["hot",] > 1_000_000
    endpoints = {labels[0] for labels in of(found, "feature_query_duration_seconds_count")}
    assert endpoints == {
        f"/v1/{name}"
        for name in ("catalog", "latest", "query", "historical", "revisions", "explain", "payloads", "publish")
    }
    sources = {(source.slug,) for source in load_catalog().sources.values()}
    assert of(found, "feature_store_rejects_total") == dict.fromkeys([*sources, ("publish",)], 0)
    assert {(slug,) for _, slug in of(found, "feature_store_fetches_total")} == sources
    assert {(source,) for _, source in of(found, "feature_store_circuit_open")} >= sources - {("tradingview",)}
    assert set(of(found, "feature_store_circuit_open").values()) == {0}
    for metric in (
        "feature_store_dirty_days", "feature_store_payloads_waiting", "feature_store_export_lag_seconds",
        "feature_store_history_lag_seconds",
    ):  # fmt: skip
        assert found[metric, ()] >= 0


def test_it_is_what_either_format_of_prometheus_says(store: Served) -> None:
    with store.client(key="") as client:
        plain = client.get("/metrics")
        asked = "application/openmetrics-text; version=1.0.0"
        open_metrics = client.get("/metrics", headers={"Accept": asked})
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    kinds = {family.name: family.type for family in openmetrics.text_string_to_metric_families(open_metrics.text)}
    assert kinds["feature_ingest"] == "counter"
    assert kinds["feature_query_duration_seconds"] == "histogram"
    assert kinds["feature_freshness_seconds"] == "gauge"
    assert all(family.documentation for family in text_string_to_metric_families(plain.text))


def test_versions_are_counted_as_they_are_appended_and_never_when_they_come_again(own: Served) -> None:
    before = metrics(own)
    held = own.conn.execute("select count(*) from features.features_versions where feature_id = %s", (PRICE,))
    assert before["feature_ingest_total", (PRICE,)] == (held.fetchone() or [0])[0]
    new = Told(PRICE, HOUR, 1.0, NOW, "ingested")
    own.append([new, Told(PRICE, HOUR + timedelta(minutes=1), 2.0, NOW, "ingested"), Told(VIX, HOUR, 3.0, NOW)])
    own.append([new])
    after = anew(own, ("feature_ingest_total", (VIX,), before["feature_ingest_total", (VIX,)] + 1))
    assert after["feature_ingest_total", (PRICE,)] == before["feature_ingest_total", (PRICE,)] + 2
    own.conn.execute("truncate features.features_versions, features.features_values")
    own.conn.commit()
    assert metrics(own)["feature_ingest_total", (PRICE,)] == after["feature_ingest_total", (PRICE,)]


def test_age_stops_while_a_calendar_is_closed_and_is_that_of_the_newest_point(own: Served) -> None:
    rows = own.conn.execute("select feature_id, extract(epoch from age)::float8 from features.latest").fetchall()
    assert len(rows) >= 3
    found = metrics(own)
    assert {name: found["feature_freshness_seconds", (name,)] for name, _ in rows} == dict(rows)
    assert found["feature_freshness_seconds", (GAS,)] == inf


def test_what_fails_counts_for_the_features_it_was_for(own: Served) -> None:
    catalog = own.catalog
    feature = catalog.features["cex/binance/btcusdt_funding_rate"]
    before = metrics(own)

    def fetch(outcome: str, series: str | None, source: str = "binance", stream: str | None = None) -> int:
        row = own.conn.execute(
            """insert into raw.fetches (source, stream, series, endpoint, url, outcome, fetched_at)
               values (%s, %s, %s, 'e', 'u', %s, ops.now()) returning fetch_id""",
            (source, stream or feature.stream, series, outcome),
        ).fetchone()
        assert row is not None
        return int(row[0])

    fetch("failed", feature.series)
    fetch("failed", "ANOTHER")
    landed = fetch("landed", feature.series)
    own.conn.execute("update raw.fetches set outcome = 'rejected', reason = 'r' where fetch_id = %s", (landed,))
    own.conn.execute("update raw.fetches set reason = 'again' where fetch_id = %s", (landed,))
    reject = "insert into raw.rejects (source, stream, fetch_id, feature_id, ts, rule, reason, content)" + (
        " values ('binance', %s, %s, %s, %s, %s, 'r', %s)"
    )
    content = Jsonb({"series": feature.series})
    own.conn.execute(reject, (feature.stream, landed, None, None, "unreadable_answer", content))
    own.conn.execute(reject, (feature.stream, landed, feature.id, NOW, "jump", Jsonb({"value": 1})))
    own.conn.commit()
    name = "feature_ingest_fail_total"
    after = anew(own, (name, (feature.id,), before[name, (feature.id,)] + 3))
    assert after[name, (PRICE,)] == before[name, (PRICE,)]
    assert after["feature_store_fetches_total", ("failed", "binance")] == 2
    assert after["feature_store_fetches_total", ("rejected", "binance")] == 1
    assert after["feature_store_rejects_total", ("binance",)] == 2
    assert after["feature_store_rejects_open", ("binance",)] == 2
    own.conn.execute("update raw.rejects set resolved_at = ops.now()")
    own.conn.commit()
    resolved = anew(own, ("feature_store_rejects_open", ("binance",), 0))
    assert resolved["feature_store_rejects_total", ("binance",)] == 2
    assert resolved[name, (feature.id,)] == after[name, (feature.id,)]


def test_published_points_that_fail_count(own: Served) -> None:
    flow = "crypto/etf/btc_net_flow_usd"
    point = {"featureId": flow, "ts": "2024-05-29T00:00:00Z", "value": 1e8}
    future, unknown = {**point, "ts": "2031-01-01T00:00:00Z"}, {**point, "featureId": "a/b/c"}
    with own.client(own.key_with("publish")) as client:
        answer = client.post("/v1/publish", json={"points": [point, future, unknown], "mode": "each"})
    assert (answer.json()["inserted"], answer.json()["failed"]) == (1, 2)
    found = metrics(own)
    assert found["feature_ingest_total", (flow,)] == 1
    assert found["feature_ingest_fail_total", (flow,)] == 1
    assert found["feature_store_rejects_total", ("publish",)] == 1


def test_answers_are_timed_by_endpoint_and_class_of_status(own: Served) -> None:
    own.get("/v1/query", featureIds=PRICE)
    own.get("/v1/query", featureIds="a/b/c")
    own.get("/v1/no/such/path")
    with own.client(key="wrong") as client:
        client.get("/v1/latest")
    found = metrics(own)
    assert found["feature_query_duration_seconds_count", ("/v1/query",)] == 2
    assert 0 < found["feature_query_duration_seconds_sum", ("/v1/query",)] < 60
    buckets = [
        value for (name, labels), value in found.items() if name.endswith("_bucket") and labels[0] == "/v1/query"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 2
    requests = of(found, "feature_store_api_requests_total")
    assert requests["/v1/query", "2xx"] == 1
    assert requests["/v1/query", "4xx"] == 1
    assert requests["/v1/latest", "4xx"] == 1
    assert {endpoint for endpoint, _ in requests} == {
        labels[0] for labels in of(found, "feature_query_duration_seconds_sum")
    }


def test_counts_are_one_over_processes_and_outlive_them(own: Served, tmp_path: Path) -> None:
    def told(url: str) -> float:
        return scraped(ask(own, url, "/metrics").text)["feature_query_duration_seconds_count", ("/v1/latest",)]

    for _ in range(3):
        own.get("/v1/latest")
    assert metrics(own)["feature_query_duration_seconds_count", ("/v1/latest",)] == 3
    with process(own, tmp_path / "first") as url:
        for _ in range(2):
            ask(own, url, "/v1/latest")
        assert told(url) == 5, "those of another process, and its own"
    with process(own, tmp_path / "second") as url:
        assert told(url) == 5, "the process that counted them is gone"
    anew(own, ("feature_query_duration_seconds_count", ("/v1/latest",), 5))


def test_the_archive_tells_what_waits_and_how_far_it_is(own: Served) -> None:
    own.conn.execute("update ops.archived_until set until = until - interval '1 day'")
    own.conn.commit()
    before = metrics(own)
    assert before["feature_store_dirty_days", ()] > 0
    assert before["feature_store_payloads_waiting", ()] == 1
    assert before["feature_storage_size_bytes", ("parquet",)] == 0
    assert before["feature_store_export_lag_seconds", ()] > 86_000
    export(own.conn, own.settings)
    move_payloads(own.conn, own.settings)
    commit_history(own.conn, own.settings)
    after = anew(own, ("feature_store_dirty_days", (), 0), ("feature_store_payloads_waiting", (), 0))
    for metric in ("feature_store_export_lag_seconds", "feature_store_history_lag_seconds"):
        assert 0 <= after[metric, ()] < 3_600
    sizes = own.conn.execute(
        "select (select sum(size_bytes) from ops.exported_files)::bigint, (select sum(stored_bytes) from raw.payloads)"
    ).fetchone()
    assert sizes is not None
    assert after["feature_storage_size_bytes", ("parquet",)] == sizes[0] > 0
    assert after["feature_storage_size_bytes", ("payloads",)] == sizes[1] > 0
    assert after["feature_storage_size_bytes", ("history",)] > 1_000
    own.conn.execute("update raw.payloads set uri = null, expired_at = ops.now()")
    own.conn.commit()
    anew(own, ("feature_storage_size_bytes", ("payloads",), 0))


def test_circuits_coverage_and_incidents_are_as_the_database_has_them(own: Served) -> None:
    own.conn.execute(
        """insert into ops.circuits (source, host, reason, failures, since, until)
           values ('binance', 'api.binance.com', 'r', 3, ops.real_now(), ops.real_now() + interval '1 hour')"""
    )
    result = """insert into quality.results (run_id, checked_at, suite, feature_id, rule, severity, success,
        rows_checked, rows_failed, observed, expected, reason)
        values ('r', %s, 'coverage', %s, 'coverage', 'block', true, %s, %s, 'o', 'e', 'r')"""
    for checked_at, feature, checked, failed in [
        (HOUR, PRICE, 10, 9), (NOW, PRICE, 10, 5), (NOW, PRICE, 10, 1), (NOW, LIQUIDITY, 0, 0)
    ]:  # fmt: skip
        own.conn.execute(result, (checked_at, feature, checked, failed))
    incident = """insert into quality.incidents
        (subject, source, rule, severity, observed, expected, run_id, opened_at, last_seen_at, recovered_at)
        values (%s, 'binance', 'jump', 'block', 'o', 'e', 'r', ops.now(), ops.now(), %s)"""
    for subject, recovered_at in [("a", None), ("b", None), ("c", datetime(2024, 6, 3))]:  # noqa: DTZ001 - the session is in UTC
        own.conn.execute(incident, (subject, recovered_at))
    own.conn.commit()
    found = anew(own, ("feature_store_circuit_open", ("api.binance.com", "binance"), 1))
    assert sum(of(found, "feature_store_circuit_open").values()) == 1
    assert found["feature_coverage_ratio", (PRICE,)] == pytest.approx(0.9)
    assert found["feature_coverage_ratio", (LIQUIDITY,)] == 1
    assert isnan(found["feature_coverage_ratio", (VIX,)])
    assert of(found, "feature_store_incidents_open") == {("block",): 2, ("warn",): 0}


def test_a_database_that_is_away_is_a_problem_and_not_an_empty_page(own: Served) -> None:
    own.conn.execute("revoke select on quality.incidents from feature_store_reader")
    own.conn.execute("alter table quality.incidents rename to moved")
    own.conn.commit()
    with own.client(key="") as client:
        answer = client.get("/metrics")
    assert answer.status_code >= 500
    assert answer.headers["content-type"] == "application/problem+json"
