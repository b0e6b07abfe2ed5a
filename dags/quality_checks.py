"""Periodic checks of what is published and of what the sources sent."""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task

from feature_store.catalog import load_catalog
from feature_store.quality.rules import RAW_TABLES


@task(map_index_template="{{ table }}")
def judge_raw_table(table: str) -> None:
    """Great Expectations on one raw table."""
    from feature_store.quality.judge import judge_raw
    from feature_store.warehouse.connection import connect

    context = get_current_context()
    context["table"] = table
    with connect() as conn:
        judge_raw(conn, load_catalog(), context["run_id"], table, docs="later")


@task
def freshness() -> None:
    """Age of each feature's newest point against its ttl, kept in quality.results."""
    from feature_store.quality.freshness import check_freshness
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        check_freshness(conn, load_catalog(), get_current_context()["run_id"])


@task
def reconciliation() -> int:
    """Two sources of one quantity against each other, kept in quality.reconciliation; returns how many disagree."""
    from feature_store.quality.reconciliation import reconcile
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        return reconcile(conn, get_current_context()["run_id"]).disagreeing


@task(trigger_rule="all_done")
def data_docs() -> str:
    """Rebuild the Data Docs pages."""
    from feature_store.quality.data_docs import build_data_docs

    return str(build_data_docs())


@dag(
    schedule="17 * * * *",
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-quality",
        "pool": "transform",
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=15),
    },
    tags=["quality", "great-expectations"],
    doc_md="""### Is what we publish still true and fresh?
Hourly: the raw tables against their suites, every feature's age against its ttl, two sources of one quantity against
each other. Results: `quality.results`, `quality.reconciliation` and the Data Docs.""",
)
def quality_checks() -> None:
    """Checks, then their pages."""
    tables = [table.name for table in RAW_TABLES]
    [judge_raw_table.expand(table=tables), freshness(), reconciliation()] >> data_docs()


quality_checks()
