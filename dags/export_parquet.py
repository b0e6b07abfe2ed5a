"""The archive: Parquet files of the days that changed, and landed bytes out of the database."""

from datetime import timedelta

from airflow.sdk import dag, task

from feature_store.settings import load_settings


@task
def export() -> int:
    """Write the files of all dirty days; returns how many were written."""
    from feature_store.archive import export
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        done = export(conn, load_settings(), lambda days, total: print(f"{days} of {total} days"))  # noqa: T201 - the task's log
    print(done)  # noqa: T201 - the task's log
    return done.written


@task
def move_payloads() -> int:
    """Move the bytes of answers to S3; returns how many answers."""
    from feature_store.archive import move_payloads
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        moved = move_payloads(conn, load_settings())
    print(moved)  # noqa: T201 - the task's log
    return moved.payloads


@dag(
    schedule=load_settings().parquet_batch_cron,
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-engineering",
        "pool": "transform",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=2),
    },
    tags=["archive", "parquet", "s3"],
    doc_md="""### Features → Parquet on S3
By `FEATURE_STORE_PARQUET_BATCH_CRON`: the files `{feature_id}/dt=YYYY-MM-DD/part-0.parquet` of the days that changed
since the last export, from one snapshot, written only where their bytes differ. Beside it, the bytes of answers move
from `raw.payloads` to `_payloads/` in the bucket.
While S3 is away the runs fail with its address, days stay dirty and bytes stay in the database: ingestion goes on, and
the next run catches up.""",
)
def export_parquet() -> None:
    """Two tasks that need nothing of each other."""
    export()
    move_payloads()


export_parquet()
