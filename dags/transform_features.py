"""Raw rows become features: dbt builds candidates, Great Expectations judges them, the one writer appends them."""

from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.sdk import Asset, dag, get_current_context, task
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior

from feature_store.catalog import load_catalog
from feature_store.settings import load_settings
from feature_store.warehouse.dbt import PROJECT, dags_manifest

catalog = load_catalog()
RAW = [
    Asset(name=f"raw_{source.slug}", uri=f"feature-store://raw/{source.slug}", group="raw")
    for source in catalog.sources.values()
    if catalog.connected(source.slug)
]
FEATURES = Asset(name="features", uri="feature-store://features", group="features")


def dbt_models(group_id: str, select: list[str], exclude: list[str]) -> DbtTaskGroup:
    """The models as tasks of their own, run by one dbt process."""
    return DbtTaskGroup(
        group_id=group_id,
        project_config=ProjectConfig(manifest_path=dags_manifest(load_settings()), project_name="feature_store"),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.WATCHER,
            invocation_mode=InvocationMode.DBT_RUNNER,
            dbt_project_path=PROJECT,
        ),
        profile_config=ProfileConfig(
            profile_name="feature_store", target_name="store", profiles_yml_filepath=PROJECT / "profiles.yml"
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.AFTER_EACH,
            select=select,
            exclude=exclude,
            emit_datasets=False,
        ),
        operator_args={
            "poke_interval": 1,
            "deferrable": False,
            "install_deps": False,
            # Unit tests speak of the code, not of the data: `make test` runs them.
            "dbt_cmd_flags": ["--exclude-resource-type", "unit_test"],
        },
    )


@task
def open_window() -> None:
    """Fix which raw rows this run reads: all that are committed and not yet transformed."""
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        conn.execute("select ops.open_window('transform')")


@task
def judge_candidates() -> int:
    """Great Expectations on the candidates: blocked rows go to raw.rejects, the rest may be published."""
    from feature_store.quality.judge import judge
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        verdict = judge(conn, load_catalog(), run_id=get_current_context()["run_id"])
    return verdict.blocked


@task(outlets=[FEATURES])
def close_window() -> None:
    """Mark what this run read as done; a run that failed before this is repeated by the next one."""
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        conn.execute("select ops.close_window('transform')")


@dag(
    schedule=reduce(or_, RAW),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-engineering",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=30),
        "pool": "transform",
    },
    tags=["transform", "dbt"],
    doc_md="""### Raw → normalized → candidates → judged → versions
Runs when a source has news. Reads the raw rows of transactions that committed since the last run, never "newer than a
time", so that nothing is missed whatever the order of commits. Publishing is one transaction: readers see all or none.
Run it by hand at any time: without news it appends nothing.""",
)
def transform_features() -> None:
    """Window, models, judgement, publication."""
    build = dbt_models("build", select=["path:models"], exclude=["features_versions+"])
    publish = dbt_models("publish", select=["features_versions+"], exclude=[])
    open_window() >> build >> judge_candidates() >> publish >> close_window()


transform_features()
