"""Raw rows become features: dbt builds candidates, Great Expectations judges them, the one writer appends them."""

from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, dag, get_current_context, task

from feature_store.catalog import load_catalog
from feature_store.quality.notifier import SendAlerts

catalog = load_catalog()
RAW = [
    Asset(name=f"raw_{source.slug}", uri=f"feature-store://raw/{source.slug}", group="raw")
    for source in catalog.connected_sources
]
FEATURES = Asset(name="features", uri="feature-store://features", group="features")

# An event may be lost, or be about rows that an older, longer transaction still hides.
WHATEVER_IS_LEFT = CronTriggerTimetable("*/10 * * * *", timezone="UTC")


@task(task_display_name="build candidates")
def build_candidates(full_refresh: str) -> int:
    """dbt's models up to `features.candidates`; returns how many candidates there are."""
    from feature_store.pipeline.transform import build_candidates
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        run_id = get_current_context()["run_id"]
        return build_candidates(conn, load_settings(), run_id, "raw", full_refresh == "True")


@task(task_display_name="judge candidates")
def judge_candidates() -> int:
    """Great Expectations on the candidates; returns how many are kept out, in raw.rejects."""
    from feature_store.pipeline.transform import judge_candidates
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        return judge_candidates(conn, catalog, load_settings(), get_current_context()["run_id"]).blocked


@task(task_display_name="publish", outlets=[FEATURES])
def publish() -> int:
    """dbt's model `features_versions`: appends what is new in one transaction; returns how many versions."""
    from feature_store.pipeline.transform import publish
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        return publish(conn, load_settings(), get_current_context()["run_id"]).appended


@task(task_display_name="derive", outlets=[FEATURES])
def derive(full_refresh: str) -> int:
    """The same three steps for what is computed from features, until nothing is new; returns how many versions."""
    from feature_store.pipeline.transform import derive
    from feature_store.settings import load_settings
    from feature_store.warehouse.connection import connect

    with connect() as conn:
        run_id = get_current_context()["run_id"]
        return derive(conn, catalog, load_settings(), run_id, full_refresh == "True").appended


@dag(
    schedule=AssetOrTimeSchedule(timetable=WHATEVER_IS_LEFT, assets=reduce(or_, RAW)),
    catchup=False,
    max_active_runs=1,
    params={"full_refresh": False},
    default_args={
        **SendAlerts.after_each_task(),
        "owner": "data-engineering",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=30),
        "pool": "transform",
    },
    tags=["transform", "dbt", "great-expectations"],
    doc_md="""### Raw → candidates → judged → versions
Runs when a source has news, and every ten minutes for whatever is left: what was published by then is in the feature
tables already, and features that are computed from it follow. Reads the raw rows of transactions that committed since
the last run, never "newer than a time", so that nothing is missed whatever the order of commits.

- **build candidates**: dbt. Its log names every model and test; a failed one is named in the error.
- **judge candidates**: Great Expectations. What breaks a blocking rule goes to `raw.rejects`, with Data Docs.
- **publish**: one transaction, readers see all or none. Then what was read counts as done: a run that failed before
  is repeated by the next.
- **derive**: derived and seasonally adjusted features and the daily panel, from the versions that were published: the
  same three steps in rounds, until no input of a feature is new.

The models one by one, with their lineage, are in dbt's docs. Run it by hand at any time: without news it appends
nothing. With `full_refresh` it derives everything again and appends what differs.""",
)
def transform_features() -> None:
    """Build, judge, publish; then derive from it."""
    full_refresh = "{{ params.full_refresh }}"
    build_candidates(full_refresh) >> judge_candidates() >> publish() >> derive(full_refresh)


transform_features()
