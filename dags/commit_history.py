"""The history: every version that is new, appended to the Iceberg table on S3."""

from datetime import timedelta

from airflow.sdk import dag, task


@task
def commit() -> int:
    """Append what the history lacks, in one commit; returns how many versions."""
    from feature_store.archive import commit_history
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        return commit_history(conn, load_settings())


@dag(
    schedule="47 * * * *",
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-engineering",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=2),
    },
    tags=["archive", "iceberg", "s3"],
    doc_md="""### Versions → the history on S3
Hourly: every point version that committed since the last run is appended to the Apache Iceberg table at `_history` in
the bucket, in one commit. A run that dies adds nothing twice, and while S3 is away the next one catches up. From here
other engines read, named snapshots are taken (`feature-store snapshot create`), and retired days are served.""",
)
def commit_history() -> None:
    """One task."""
    commit()


commit_history()
