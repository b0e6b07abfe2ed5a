"""Keeps storage ready: partitions ahead of time. It drops nothing."""

from datetime import timedelta

from airflow.sdk import dag, task


@task
def partitions_ahead() -> int:
    """Make the partitions of the coming days and of next year; returns how many were missing."""
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect
    from feature_store.warehouse.partitions import make_ahead

    with connect() as conn:
        return make_ahead(conn, load_settings().pg_partition_days)


@dag(
    schedule="5 0 * * *",
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-engineering",
        "pool": "transform",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=10),
    },
    tags=["maintenance"],
    doc_md="""### Partitions ahead
Daily: the day partitions of the next `FEATURE_STORE_PG_PARTITION_DAYS` days and the next year's partition.
A writer that meets a missing partition makes it itself; this keeps it from having to.""",
)
def maintain_storage() -> None:
    """One task."""
    partitions_ahead()


maintain_storage()
