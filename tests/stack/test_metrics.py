"""Prometheus beside the running stack: our metrics and Airflow's arrive, rules hold, and the dashboard finds rows."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
import yaml

from feature_store.catalog import Catalog, load_catalog
from feature_store.settings import Settings
from tests.monitoring.panels import promql, queries, sql
from tests.monitoring.programs import ABSENT, CONFIG

from .prometheus import Prometheus
from .running import Running, wait_for

OF_FEATURES = (
    "feature_ingest_total",
    "feature_ingest_fail_total",
    "feature_freshness_seconds",
    "feature_ttl_seconds",
    "feature_coverage_ratio",
)
ENDPOINTS = {
    *("/v1/latest", "/v1/query", "/v1/historical", "/v1/catalog"),
    *("/v1/revisions", "/v1/explain", "/v1/payloads", "/v1/publish"),
}
OTHERS: dict[str, dict[str, set[str]]] = {
    "feature_query_duration_seconds_count": {"endpoint": ENDPOINTS},
    "feature_storage_size_bytes": {"layer": {"hot", "parquet", "history", "payloads"}},
    "feature_store_api_requests_total": {"endpoint": ENDPOINTS, "status": {"2xx", "4xx", "5xx"}},
    "feature_store_fetches_total": {"outcome": {"loaded", "rejected", "failed"}},
    "feature_store_rejects_total": {},
    "feature_store_rejects_open": {},
    "feature_store_circuit_open": {},
    "feature_store_export_lag_seconds": {},
    "feature_store_history_lag_seconds": {},
    "feature_store_dirty_days": {},
    "feature_store_payloads_waiting": {},
    "feature_store_incidents_open": {"severity": {"block", "warn"}},
}

# Queries of the dashboard that find nothing while all is well.
QUIET = {
    "Alerts that fire A": "none may fire",
    "Failed DAG runs A": "no run failed",
    "Task failures A": "no task failed",
}


@pytest.fixture(scope="module")
def metrics(stack: Running, prometheus: Prometheus | None) -> Prometheus:
    """A Prometheus that has scraped the stack twice, and has heard of a run of a DAG and of an hourly check."""
    if prometheus is None:
        pytest.skip(ABSENT)
    client = stack.airflow()
    checks = client.trigger("quality_checks")
    stack.run("commit_history")
    # It fails where another test left features old, and has judged everything all the same.
    wait_for(lambda: client.run(checks.dag_id, checks.run_id).has_ended, 300)
    for expr in (
        'count_over_time(up{job="feature-store-api"}[1m]) > 2',
        '{__name__=~"airflow_dagrun_duration_(success|failed)_milliseconds", dag_id="quality_checks"}',
        'airflow_dagrun_duration_success_milliseconds{dag_id="commit_history", run_type="manual"}',
        'airflow_ti_finish_total{dag_id="commit_history", state="success"}',
    ):
        wait_for(partial(has_rows, prometheus, expr), 90)
    return prometheus


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def odd(stack: Running) -> Iterator[None]:
    """An odd point and an open incident: histories that are generated may hold none."""
    stack.rows(
        """insert into quality.findings
             (run_id, found_at, feature_id, version, ts, available_at, rule, severity, value, reason)
           values ('test_metrics', now(), 'macro/us/vix_index', 1, now(), now(), 'jump', 'block', 900, 'far from 20')
           returning finding_id"""
    )
    stack.rows(
        """insert into quality.incidents
             (subject, feature_id, source, rule, severity, observed, expected, run_id, opened_at, last_seen_at)
           values ('macro/us/vix_index', 'macro/us/vix_index', 'tradingview', 'a test', 'warn', 'this', 'that',
                   'test_metrics', now(), now())
           returning incident_id"""
    )
    yield
    stack.rows("delete from quality.findings where run_id = 'test_metrics' returning finding_id")
    stack.rows("delete from quality.incidents where run_id = 'test_metrics' returning incident_id")


@pytest.fixture(scope="module")
def reader(stack: Running) -> Iterator[psycopg.Connection]:
    """The login of Grafana's."""
    port = int(stack.env["FEATURE_STORE_PORT_POSTGRES"])
    settings = Settings.model_validate({"FEATURE_STORE_HOME": stack.home, "FEATURE_STORE_PORT_POSTGRES": port})
    with psycopg.connect(settings.reader_dsn, autocommit=True) as conn:
        yield conn


def has_rows(prometheus: Prometheus, expr: str) -> bool:
    return bool(prometheus.query(expr))


def test_both_targets_answer(metrics: Prometheus) -> None:
    up = {each["metric"]["job"]: each["value"][1] for each in metrics.query("up")}
    assert up == {"feature-store-api": "1", "prometheus": "1"}


@pytest.mark.parametrize("name", OF_FEATURES)
def test_every_feature_has_a_sample_of_each_of_its_metrics(metrics: Prometheus, catalog: Catalog, name: str) -> None:
    assert {each["metric"]["feature"] for each in metrics.query(name)} == set(catalog.features)


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_metric_has_its_samples(metrics: Prometheus, catalog: Catalog, name: str) -> None:
    found = [each["metric"] for each in metrics.query(name)]
    assert found
    for label, values in OTHERS[name].items():
        assert {each[label] for each in found} == values
    if any("source" in each for each in found):
        slugs = {source.slug for source in catalog.sources.values()}
        assert {each["source"] for each in found} - {"publish"} <= slugs


def test_the_rules_are_loaded_and_evaluated(metrics: Prometheus) -> None:
    groups = yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"]
    wait_for(lambda: all(rule["health"] != "unknown" for rule in metrics.rules()), 60)
    found = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in metrics.rules()}
    assert found == {rule["alert"]: ("ok", None) for group in groups for rule in group["rules"]}


def test_a_run_of_a_dag_leaves_its_duration_and_the_end_of_its_tasks(metrics: Prometheus) -> None:
    ended = metrics.query('last_over_time(airflow_ti_finish_total{dag_id="commit_history"}[1h])')
    assert ("commit", "success") in {(each["metric"]["task_id"], each["metric"]["state"]) for each in ended}
    (counted,) = metrics.query(
        'sum(histogram_count(airflow_dagrun_duration_success_milliseconds{dag_id="commit_history", run_type="manual"}))'
    )
    assert float(counted["value"][1]) >= 1


def test_the_scheduler_is_heard_and_its_processes_are_told_apart(metrics: Prometheus) -> None:
    assert {each["metric"]["job"] for each in metrics.query("airflow_scheduler_heartbeat_total")} == {"airflow"}
    assert len(metrics.query("count by (instance) (last_over_time(airflow_ti_finish_total[1h]))")) > 1


@pytest.mark.parametrize("name", queries("expr"))
def test_every_query_of_the_dashboard_to_prometheus_is_right(metrics: Prometheus, catalog: Catalog, name: str) -> None:
    found = metrics.query(promql(queries("expr")[name], catalog.features))
    assert found or name in QUIET


@pytest.mark.parametrize("name", queries("rawSql"))
def test_every_query_of_the_dashboard_to_the_database_is_right(
    metrics: Prometheus, odd: None, reader: psycopg.Connection, catalog: Catalog, name: str
) -> None:
    found = reader.execute(sql(queries("rawSql")[name], catalog.features).encode()).fetchall()
    assert found
