"""Keeps storage in order: partitions ahead of time, old days in the history alone, nothing longer than it is needed."""

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


# The first time there may be years of days, and of bytes; a run that is stopped is completed by the next.
@task(execution_timeout=timedelta(hours=2))
def retire_days() -> int:
    """Take days past FEATURE_STORE_RETENTION_DAYS out of the database; returns how many."""
    from feature_store.archive import retire
    from feature_store.catalog import load_catalog
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        done = retire(conn, load_settings(), load_catalog(), progress=print)
    print(done)  # noqa: T201 - the task's log
    return len(done.days)


@task(execution_timeout=timedelta(hours=2), pool="default_pool")
def tidy_history() -> int:
    """Rewrite months of the history that are over and remove files that nothing needs; returns how many files went."""
    from feature_store.archive import tidy_history
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        done = tidy_history(conn, load_settings())
    print(done)  # noqa: T201 - the task's log
    return done.files


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


@task
def forget_results() -> int:
    """Remove what transforms found in order a month ago; returns how many results."""
    from feature_store.quality.results import forget_results
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        return forget_results(conn)


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
    doc_md="""### Partitions ahead, days that retire, bytes that expire
Daily: the day partitions of the next `FEATURE_STORE_PG_PARTITION_DAYS` days and the next year's partition.
A writer that meets a missing partition makes it itself; this keeps it from having to.
Days of intraday features older than `FEATURE_STORE_RETENTION_DAYS` leave the database: detached, compared with the
history on S3, and dropped; or attached again, and the task fails and says how they differ. What would go tells
`feature-store archive retire --dry-run`. After it the history is tidied: months that are over lie in few files.
Beside it, the bytes of answers go that are older than their streams keep them (`payloads` in the catalog); hash, size
and fetches stay. `feature-store archive payloads --dry-run` tells what would go. While S3 is away that task fails, and
the next run catches up.
And what transforms found in order is forgotten after thirty days; what broke a rule stays in `quality.results`.""",
)
def maintain_storage() -> None:
    """Only tidying waits for anything: for the days that retire."""
    partitions_ahead()
    retire_days() >> tidy_history()
    expire_payloads()
    forget_results()


maintain_storage()
