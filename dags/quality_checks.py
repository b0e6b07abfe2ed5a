"""Periodic checks of what is published and of what the sources sent."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from feature_store.catalog import load_catalog
from feature_store.quality.notifier import SendAlerts
from feature_store.quality.periodic import sources_checked


@task
def reconciliation() -> int:
    """Two sources of one quantity against each other, kept in quality.reconciliation, and what it means for the
    confidence in points, kept in quality.confidence; returns how many disagree."""
    from feature_store.quality.agreement import assess_agreement
    from feature_store.quality.reconciliation import reconcile
    from feature_store.warehouse.connection import connect

    run_id = get_current_context()["run_id"]
    with connect() as conn:
        found = reconcile(conn, run_id)
        assess_agreement(conn, load_catalog(), run_id)
        return found.disagreeing


@task(map_index_template="{{ said }}")
def check(source: str) -> int:
    """One source: its raw tables, and every rule about its features; fails where one is blocked, is marked where one
    warns; returns how many rules do not hold."""
    from feature_store.errors import QualityError
    from feature_store.quality.periodic import check_source, require_sound
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    context, settings = get_current_context(), load_settings()
    context["said"] = source  # type: ignore[typeddict-unknown-key]  # names the mapped task in the UI
    with connect() as conn:
        found = check_source(conn, settings, load_catalog(), source, context["run_id"])
    told = len(found.failures)
    context["said"] = f"{source} ⚠ {told}" if told else source  # type: ignore[typeddict-unknown-key]
    for subject, result in found.failures:
        print(f"{result.severity}: {subject}: {result.rule}: {result.observed}")  # noqa: T201 - the task's log
    try:
        require_sound(found, settings.data_docs_url)
    except QualityError as error:
        raise AirflowFailException(str(error)) from None
    return told


@task(trigger_rule="all_done")
def data_docs() -> str:
    """Rebuild the Data Docs pages."""
    from feature_store.quality.data_docs import build_data_docs

    return str(build_data_docs())


@task(trigger_rule="all_done")
def publish_data_docs() -> None:
    """Put the pages on S3, for whoever cannot see Airflow; S3 being away fails this task only."""
    from feature_store.archive import publish_data_docs
    from feature_store.quality.data_docs import site
    from feature_store.settings import load_settings

    settings = load_settings()
    print(publish_data_docs(settings, site(settings.home)))  # noqa: T201 - the task's log


@dag(
    schedule="17 * * * *",
    catchup=False,
    max_active_runs=1,
    default_args={
        **SendAlerts.after_each_task(),
        "owner": "data-quality",
        "pool": "transform",
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=15),
    },
    tags=["quality", "great-expectations"],
    doc_md="""### Is what we publish still true and fresh?
Hourly, a task for each source: its raw tables against their suites, and of each of its features coverage, gaps,
freshness, frozen values, outliers, venues that are missing, what waits in `raw.rejects`, and whether a second source
of the same quantity agrees. A blocked feature fails the task with feature, rule, what was observed and expected; a
warning marks it with ⚠. Both are told once, as an incident, to the log and to FEATURE_STORE_ALERT_WEBHOOK, and once
more when it is over. `feature-store quality` shows the same now. Results: `quality.results`, `quality.findings`,
`quality.incidents`, `quality.reconciliation` and the Data Docs.""",
)
def quality_checks() -> None:
    """Sources against each other, each for itself, then the pages."""
    checked = check.expand(source=sources_checked(load_catalog()))
    reconciliation() >> checked >> data_docs() >> publish_data_docs()
    checked >> EmptyOperator(task_id="all_sound")  # a run is judged by its last tasks, and the pages come out anyway


quality_checks()
