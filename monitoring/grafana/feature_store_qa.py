"""The dashboard of Grafana as code: `python monitoring/grafana/feature_store_qa.py` writes the JSON file beside it."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from grafana_foundation_sdk.builders import common as cb
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery as PromQuery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FILE = Path(__file__).with_suffix(".json")

# The uids of provisioning/datasources.
PROMETHEUS = DataSourceRef("prometheus", "prometheus")
POSTGRES = DataSourceRef("grafana-postgresql-datasource", "feature-store")

# Of the chosen features. Every process of the API tells the same of the store: of several, any one, not their sum.
CHOSEN = 'feature=~"$feature"'
AGE = f"max by (feature) (feature_freshness_seconds{{{CHOSEN}}})"
TTL = f"max by (feature) (feature_ttl_seconds{{{CHOSEN}}})"
COVERAGE = f"max by (feature) (feature_coverage_ratio{{{CHOSEN}}})"
IN_CHOSEN = "feature_id in (${feature:sqlstring})"

GREEN, YELLOW, RED = "green", "yellow", "red"
DEAR = {"critical": RED, "block": RED, "warning": YELLOW, "warn": YELLOW}
ROW_UNITS = 24


@dataclass(frozen=True)
class SqlQuery(Builder[Dataquery], Dataquery):
    """A query to PostgreSQL, for which the library has no builder."""

    sql: str
    format: str = "table"
    ref_id: str = "A"

    def build(self) -> Dataquery:
        """Itself: it is complete when it is made."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana keeps it."""
        return {
            "datasource": POSTGRES,
            "editorMode": "code",
            "format": self.format,
            "rawQuery": True,
            "rawSql": " ".join(self.sql.split()),
            "refId": self.ref_id,
        }


Query = PromQuery | SqlQuery
Panel = TimeSeries | Stat | StateTimeline | Table
AnyPanel = TypeVar("AnyPanel", TimeSeries, Stat, StateTimeline, Table)


@dataclass(frozen=True)
class About:
    """What every panel has: what it shows, why, in which unit, and from where on it is bad."""

    title: str
    description: str
    unit: str
    limits: Sequence[Threshold]
    queries: Sequence[Query]
    width: int = 12
    height: int = 8

    def on(self, panel: AnyPanel) -> AnyPanel:
        """A panel with all of that."""
        steps = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(self.limits))
        for query in self.queries:
            panel = panel.with_target(query)
        panel = panel.title(self.title).description(self.description).unit(self.unit).thresholds(steps)
        source = POSTGRES if isinstance(self.queries[0], SqlQuery) else PROMETHEUS
        return panel.datasource(source).span(self.width).height(self.height)


def bad_from(red: float, yellow: float | None = None) -> list[Threshold]:
    """Limits of what should be small."""
    warning = [] if yellow is None else [Threshold(yellow, YELLOW)]
    return [Threshold(None, GREEN), *warning, Threshold(red, RED)]


def good_from(green: float, yellow: float | None = None) -> list[Threshold]:
    """Limits of what should be large."""
    warning = [] if yellow is None else [Threshold(yellow, YELLOW)]
    return [Threshold(None, RED), *warning, Threshold(green, GREEN)]


def over_time(expr: str, legend: str, ref_id: str = "A") -> PromQuery:
    """A range query; one line for each label set."""
    return PromQuery().expr(expr).range().legend_format(legend).ref_id(ref_id).datasource(PROMETHEUS)


def now(expr: str, ref_id: str = "A") -> PromQuery:
    """An instant query."""
    return PromQuery().expr(expr).instant().ref_id(ref_id).datasource(PROMETHEUS)


def now_as_table(expr: str, ref_id: str = "A") -> PromQuery:
    """An instant query with a column for each label."""
    return now(expr, ref_id).format(PromQueryFormat.TABLE)


def number(about: About) -> Stat:
    """One number, coloured by its limits."""
    panel = replace(about, width=4, height=4).on(Stat())
    newest = cb.ReduceDataOptions().calcs(["lastNotNull"])
    return panel.graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.BACKGROUND).reduce_options(newest)


def lines(about: About) -> TimeSeries:
    """Lines over time, with the limits drawn in, and the newest values beside them."""
    legend = (
        cb.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.RIGHT)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = cb.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    style = cb.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return about.on(TimeSeries()).legend(legend).tooltip(tooltip).thresholds_style(style).fill_opacity(0)


def bars(about: About) -> TimeSeries:
    """Counts over time, one upon the other."""
    stacking = cb.StackingConfig().mode(StackingMode.NORMAL)
    return lines(about).draw_style(GraphDrawStyle.BARS).fill_opacity(80).stacking(stacking)


def table(about: About) -> Table:
    """Rows, with the severity coloured where there is one."""
    colours = ValueMap({name: ValueMappingResult(name, colour) for name, colour in DEAR.items()})
    properties = [
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        DynamicConfigValue("mappings", [colours]),
    ]
    return about.on(Table()).override_by_name("severity", properties)


def is_anything_wrong() -> list[Panel]:
    """What to see first."""
    api = About(
        "REST API",
        "Whether the API answered Prometheus when it last asked. While it is down, nothing else here is fresh.",
        "none",
        good_from(1),
        [now('min(up{job="feature-store-api"})')],
    )
    words = ValueMap({"0": ValueMappingResult("down", RED), "1": ValueMappingResult("up", GREEN)})
    stale = About(
        "Stale features",
        "How many features are older than their ttl allows, time in which their calendar is closed left out. "
        "The table below says which.",
        "none",
        bad_from(1),
        [now(f"count({AGE} > on (feature) {TTL}) or vector(0)")],
    )
    gaps = About(
        "Features with gaps",
        "How many features lacked more than a fifth of what their calendar expects at the last hourly check.",
        "none",
        bad_from(1),
        [now(f"count({COVERAGE} < 0.8) or vector(0)")],
    )
    blocked = About(
        "Incidents that block",
        "Rules of severity block that do not hold now. What breaks them is not published; the table below says what.",
        "none",
        bad_from(1),
        [now('max(feature_store_incidents_open{severity="block"})')],
    )
    circuits = About(
        "Hosts left alone",
        "Hosts that gave trouble and are not asked for a while. What comes from them grows old.",
        "none",
        bad_from(3, yellow=1),
        [now("sum(max by (source, host) (feature_store_circuit_open))")],
    )
    failing = About(
        "Requests that fail",
        "Share of the requests of five minutes that ended in an error of the server. Above 5 % an alert fires.",
        "percentunit",
        bad_from(0.05, yellow=0.01),
        [
            now(
                'sum(rate(feature_store_api_requests_total{status="5xx"}[5m]))'
                " / sum(rate(feature_store_api_requests_total[5m]))"
            )
        ],
    )
    alerts = About(
        "Alerts that fire",
        "Alerts of monitoring/prometheus/alerts.yml that fire now. docs/runbook.md has a section for each.",
        "none",
        bad_from(1),
        [now_as_table('ALERTS{alertstate="firing"}')],
        width=ROW_UNITS,
        height=6,
    )
    return [
        number(api).mappings([words]),
        *(number(about) for about in (stale, gaps, blocked, circuits)),
        number(failing).no_value("no requests"),
        table(alerts).with_transformation(without("Time", "Value", "__name__", "alertstate", "instance", "job")),
    ]


def which_feature() -> list[Panel]:
    """Every feature by its age and its gaps, and what rules say of it."""
    overview = About(
        "Features",
        "Each feature with the age of its newest point, the ttl that its age must not exceed, and the share of the "
        "expected points that are there. Beyond its ttl a feature is stale; without a point its age is infinite.",
        "none",
        bad_from(1, yellow=0.8),
        [
            now_as_table(AGE, "A"),
            now_as_table(TTL, "B"),
            now_as_table(f"{AGE} / on (feature) {TTL}", "C"),
            now_as_table(COVERAGE, "D"),
        ],
        width=ROW_UNITS,
        height=10,
    )
    age = About(
        "Age against ttl",
        "Age of the newest point over what its ttl allows, time in which its calendar is closed left out: above 1 the "
        "feature is stale. Sawteeth are right: a point arrives, then ages.",
        "percentunit",
        bad_from(1, yellow=0.8),
        [over_time(f"{AGE} / on (feature) {TTL}", "{{feature}}")],
    )
    coverage = About(
        "Coverage",
        "How many of the points that the calendar expects are there, by the hourly checks. Below 80 % an alert fires.",
        "percentunit",
        good_from(0.95, yellow=0.8),
        [over_time(COVERAGE, "{{feature}}")],
    )
    incidents = About(
        "Open incidents",
        "Rules that do not hold now: of which feature or table, since when, what was observed and what is expected. "
        "docs/quality.md explains each rule.",
        "none",
        bad_from(1),
        [
            SqlQuery(
                f"""select severity, subject, rule, observed, expected, opened_at, last_seen_at
                from quality.incidents where recovered_at is null and (feature_id is null or {IN_CHOSEN})
                order by severity, opened_at limit 100"""
            )
        ],
        width=ROW_UNITS,
    )
    found = About(
        "Odd points found",
        "Points that transforms found odd beside those before them, by the hour in which they were found: outliers, "
        "jumps, wrong units, repetitions. Ten in an hour are more than real histories ever gave.",
        "short",
        bad_from(10, yellow=1),
        [
            SqlQuery(
                f"""select $__timeGroupAlias(found_at, '1h'), feature_id as metric, count(*) as findings
                from quality.findings where $__timeFilter(found_at) and {IN_CHOSEN} group by 1, 2 order by 1""",
                "time_series",
            )
        ],
    )
    outliers = About(
        "Share of outliers",
        "Outliers among the points of the window that the hourly checks judge: at most 0.5 % is usual, more is an "
        "incident that warns.",
        "percentunit",
        bad_from(0.005),
        [
            SqlQuery(
                f"""select checked_at as time, feature_id as metric,
                  rows_failed::double precision / nullif(rows_checked, 0) as share
                from quality.results where rule = 'outlier' and suite = 'checks' and $__timeFilter(checked_at)
                  and {IN_CHOSEN} order by 1""",
                "time_series",
            )
        ],
    )
    newest = About(
        "Newest odd points",
        "What was found odd last: the value, the one before, the band in which a usual value lies, and the score, of "
        "which more than 1 is an outlier. Severity block was kept out, warn was published with lowered confidence.",
        "none",
        bad_from(1),
        [
            SqlQuery(
                f"""select severity, feature_id, ts, rule, value, value_before, low, high, score, reason, found_at
                from quality.findings where {IN_CHOSEN} order by finding_id desc limit 50"""
            )
        ],
        width=ROW_UNITS,
    )
    columns = {"Value #A": "age", "Value #B": "ttl", "Value #C": "age / ttl", "Value #D": "coverage"}
    return [
        features_table(overview, columns),
        lines(age),
        lines(coverage),
        table(incidents),
        bars(found),
        lines(outliers),
        table(newest),
    ]


def features_table(about: About, columns: dict[str, str]) -> Table:
    """One row for each feature, with each column in its own unit."""
    worse_above = {"mode": "absolute", "steps": bad_from(1, yellow=0.8)}
    worse_below = {"mode": "absolute", "steps": good_from(0.95, yellow=0.8)}
    seconds, share = DynamicConfigValue("unit", "s"), DynamicConfigValue("unit", "percentunit")
    coloured = DynamicConfigValue("custom.cellOptions", {"type": "color-background"})
    return (
        about.on(Table())
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(without("Time", renamed=columns))
        .override_by_name("age", [seconds])
        .override_by_name("ttl", [seconds])
        .override_by_name("age / ttl", [share, coloured, DynamicConfigValue("thresholds", worse_above)])
        .override_by_name("coverage", [share, coloured, DynamicConfigValue("thresholds", worse_below)])
    )


def without(*columns: str, renamed: dict[str, str] | None = None) -> DataTransformerConfig:
    """Leave columns out, and give others names for people."""
    options = {"excludeByName": dict.fromkeys(columns, True), "renameByName": renamed or {}}
    return DataTransformerConfig("organize", options=options)


def does_data_arrive() -> list[Panel]:
    """What sources give, and what is not taken."""
    committed = About(
        "Points committed",
        "Versions of points committed a minute. A daily feature stands at zero for most of the day; one of minutes "
        "must not.",
        "cpm",
        good_from(0.001),
        [over_time(f"60 * max by (feature) (rate(feature_ingest_total{{{CHOSEN}}}[$__rate_interval]))", "{{feature}}")],
    )
    failures = About(
        "Failures of ingest",
        "Within an hour: rows rejected, candidates kept out, failed fetches of the feature's streams, and points that "
        "could not be published.",
        "short",
        bad_from(10, yellow=1),
        [over_time(f"max by (feature) (increase(feature_ingest_fail_total{{{CHOSEN}}}[1h]))", "{{feature}}")],
    )
    fetches = About(
        "Fetches that did not load",
        "Within an hour, answers of sources that could not be read, and requests that failed. Some failures are the "
        "weather of the internet; many open a circuit.",
        "short",
        bad_from(20, yellow=5),
        [
            over_time(
                'max by (source, outcome) (increase(feature_store_fetches_total{outcome!="loaded"}[1h]))',
                "{{source}} {{outcome}}",
            )
        ],
        width=8,
    )
    rejects = About(
        "Rows kept out",
        "Rows of each source kept out within an hour. Above 10 an alert fires.",
        "short",
        bad_from(10, yellow=1),
        [over_time("max by (source) (increase(feature_store_rejects_total[1h]))", "{{source}}")],
        width=8,
    )
    unresolved = About(
        "Rows kept out and not resolved",
        "They come in once the source corrects them, or somebody the catalog: `feature-store rejects list`.",
        "short",
        bad_from(100, yellow=1),
        [over_time("max by (source) (feature_store_rejects_open)", "{{source}}")],
        width=8,
    )
    circuits = About(
        "Circuits",
        "When each host was left alone after trouble. `feature-store status` says why, and until when.",
        "none",
        bad_from(1),
        [over_time("max by (source, host) (feature_store_circuit_open)", "{{source}} {{host}}")],
        width=ROW_UNITS,
    )
    words = ValueMap({"0": ValueMappingResult("asked", GREEN), "1": ValueMappingResult("left alone", RED)})
    return [
        lines(committed),
        bars(failures),
        *(bars(about) for about in (fetches, rejects)),
        lines(unresolved),
        circuits.on(StateTimeline()).mappings([words]),
    ]


def does_it_reach_s3() -> list[Panel]:
    """What the archive lacks, and what all of it takes."""
    export = About(
        "Export lag",
        "Since when changes may be missing from the Parquet files, in real time. Exports are due every 15 minutes; "
        "above an hour an alert fires.",
        "s",
        bad_from(3600, yellow=1800),
        [over_time("max(feature_store_export_lag_seconds)", "Parquet")],
    )
    history = About(
        "History lag",
        "Since when versions may be missing from the Iceberg history, in real time. Commits are due every hour; above "
        "three hours an alert fires.",
        "s",
        bad_from(10800, yellow=5400),
        [over_time("max(feature_store_history_lag_seconds)", "Iceberg")],
    )
    dirty = About(
        "Days to be exported",
        "Days of features that changed since they were last exported. They rise with a backfill, and every export "
        "empties them.",
        "short",
        bad_from(10000, yellow=1000),
        [over_time("max(feature_store_dirty_days)", "days of features")],
        width=8,
    )
    waiting = About(
        "Answers waiting for S3",
        "Answers of sources whose bytes still lie in PostgreSQL. Every export moves them; above 1000 for an hour an "
        "alert fires.",
        "short",
        bad_from(1000, yellow=500),
        [over_time("max(feature_store_payloads_waiting)", "answers")],
        width=8,
    )
    storage = About(
        "Storage",
        "What each layer holds: hot in PostgreSQL, the Parquet files, the Iceberg history and the payloads on S3. The "
        "limits are those of a small machine: 10 and 50 GiB.",
        "bytes",
        bad_from(50 * 2**30, yellow=10 * 2**30),
        [over_time("max by (layer) (feature_storage_size_bytes)", "{{layer}}")],
        width=8,
    )
    return [lines(about) for about in (export, history, dirty, waiting, storage)]


def are_readers_answered() -> list[Panel]:
    """The REST API as its callers see it."""
    seconds = "sum by (le, endpoint) (rate(feature_query_duration_seconds_bucket[$__rate_interval]))"
    latency = [
        About(
            f"Latency, {name}",
            f"{share} of the requests of each endpoint were answered within this time. An endpoint that nobody asks "
            "has no line.",
            "s",
            bad_from(red, yellow),
            [over_time(f"histogram_quantile({quantile}, {seconds})", "{{endpoint}}")],
        )
        for name, share, quantile, yellow, red in (
            ("median", "Half", 0.5, 0.1, 0.5),
            ("99th percentile", "99 %", 0.99, 0.5, 2.0),
        )
    ]
    requests = About(
        "Requests",
        "Requests a second to each endpoint. FEATURE_API_RATE_LIMIT_RPM bounds them for each key: 1000 a minute are "
        "17 a second.",
        "reqps",
        bad_from(100, yellow=17),
        [
            over_time(
                "sum by (endpoint)"
                " (max by (endpoint, status) (rate(feature_store_api_requests_total[$__rate_interval])))",
                "{{endpoint}}",
            )
        ],
    )
    errors = About(
        "Errors",
        "Requests a second that were refused (4xx: the caller is wrong, or asks too much) or failed (5xx: we are).",
        "reqps",
        bad_from(1, yellow=0.1),
        [
            over_time(
                "max by (endpoint, status)"
                ' (rate(feature_store_api_requests_total{status=~"4xx|5xx"}[$__rate_interval]))',
                "{{endpoint}} {{status}}",
            )
        ],
    )
    return [lines(about) for about in (*latency, requests, errors)]


def does_airflow_run() -> list[Panel]:
    """What Airflow says of itself over OTLP."""
    durations = "increase(airflow_dagrun_duration_success_milliseconds[2h])"
    runs = About(
        "Duration of DAG runs",
        "How long the successful runs of two hours took on average. Ingest is due every few minutes: beyond five, runs "
        "wait for those before them.",
        "ms",
        bad_from(900_000, yellow=300_000),
        [
            over_time(
                f"sum by (dag_id) (histogram_sum({durations})) / sum by (dag_id) (histogram_count({durations}))",
                "{{dag_id}}",
            )
        ],
    )
    failed_runs = About(
        "Failed DAG runs",
        "Runs within an hour that ended in failure. Airflow's page of the DAG has the log of the task that failed.",
        "short",
        bad_from(1),
        [
            over_time(
                "sum by (dag_id) (histogram_count(increase(airflow_dagrun_duration_failed_milliseconds[1h])))",
                "{{dag_id}}",
            )
        ],
    )
    failed_tasks = About(
        "Task failures",
        "Tries of tasks that failed, those that were tried again too. Each is a process of its own that counts one.",
        "short",
        bad_from(5, yellow=1),
        [
            over_time(
                "sum by (dag_id, task_id)"
                ' (max_over_time(airflow_ti_finish_total{state=~"failed|up_for_retry"}[$__interval]))',
                "{{dag_id}} {{task_id}}",
            )
        ],
    )
    heartbeat = About(
        "Heartbeat of the scheduler",
        "Heartbeats a minute. None for ten minutes is an alert: no DAG is started.",
        "cpm",
        good_from(1),
        [over_time("60 * sum(rate(airflow_scheduler_heartbeat_total[$__rate_interval]))", "scheduler")],
    )
    return [lines(runs), bars(failed_runs), bars(failed_tasks), lines(heartbeat)]


ROWS = {
    "Is anything wrong?": is_anything_wrong,
    "Which feature?": which_feature,
    "Does data arrive?": does_data_arrive,
    "Does it reach S3?": does_it_reach_s3,
    "Are readers answered?": are_readers_answered,
    "Does Airflow run?": does_airflow_run,
}


def dashboard() -> Dashboard:
    """All of it, in the order in which an operator asks."""
    feature = (
        QueryVariable("feature")
        .label("Feature")
        .description("Which features the panels about features show.")
        .datasource(PROMETHEUS)
        .query({"query": "label_values(feature_ttl_seconds, feature)", "refId": "feature"})
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
    )
    made = (
        Dashboard("Feature store: quality and operations")
        .uid("feature-store-qa")
        .description("Whether features are fresh, whole and believable, and whether what makes and serves them runs.")
        .tags(["feature-store"])
        .timezone("utc")
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(feature)
    )
    ids = itertools.count(1)
    for title, panels in ROWS.items():
        made = made.with_row(Row(title).id(next(ids)))
        for panel in panels():
            made = made.with_panel(panel.id(next(ids)))
    return made


def rendered() -> str:
    """The dashboard as the file holds it."""
    return json.dumps(dashboard().build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered())
