"""Airflow imports this module by its name in each of its processes.

LocalExecutor forks its workers from the scheduler: what the scheduler has imported, no task imports again.
"""

import gc
import importlib
import logging
import sys

# Seconds each in a fresh process, and every task of this project needs some of them.
HEAVY = (
    "pandas",
    "pyarrow",
    "psycopg",
    "httpx",
    "boto3",
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "dbt.task.build",
    "dbt_common.clients.agate_helper",
    "exchange_calendars",
    "pandas_market_calendars",
    "feature_store.pipeline.transform",
    "feature_store.warehouse.ingest",
    "great_expectations",
    "great_expectations.render.renderer.site_builder",
)


def warm_dbt_up() -> None:
    """Parsed and compiled once here, the dbt project is there in every task. It opens no connection to share."""
    from feature_store.errors import FeatureStoreError
    from feature_store.pipeline.models import run_dbt
    from feature_store.settings import load_settings

    try:
        run_dbt(load_settings(), "compile", "--no-introspect", "--no-populate-cache")
    except FeatureStoreError:
        logging.getLogger(__name__).exception("The transform will parse the dbt project itself, and say what is wrong")


if sys.argv[1:2] == ["scheduler"]:
    for name in HEAVY:
        importlib.import_module(name)
    warm_dbt_up()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and thereby copying, pages shared with the workers
