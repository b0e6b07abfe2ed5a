"""Keeps storage in order: partitions ahead of time, and bytes of answers no longer than their streams keep them."""

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


# The first time there may be years of them; a run that is stopped is completed by the next.
@task(execution_timeout=timedelta(hours=2))
def expire_payloads() -> int:
    """Let go of the bytes that no stream keeps any more; returns of how many answers."""
    from feature_store.archive import expire_payloads
    from feature_store.catalog import load_catalog
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        expired = expire_payloads(conn, load_settings(), load_catalog())
    print(expired)  # noqa: T201 - the task's log
    return expired.payloads


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
    doc_md="""### Partitions ahead, bytes that expire
Daily: the day partitions of the next `FEATURE_STORE_PG_PARTITION_DAYS` days and the next year's partition.
A writer that meets a missing partition makes it itself; this keeps it from having to.
Beside it, the bytes of answers go that are older than their streams keep them (`payloads` in the catalog); hash, size
and fetches stay. `feature-store archive payloads --dry-run` tells what would go. While S3 is away that task fails, and
the next run catches up.""",
)
def maintain_storage() -> None:
    """Two tasks that need nothing of each other."""
    partitions_ahead()
    expire_payloads()


maintain_storage()
