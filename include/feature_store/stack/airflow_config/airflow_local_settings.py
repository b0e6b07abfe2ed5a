"""Airflow imports this module by its name in each of its processes.

LocalExecutor forks its workers from the scheduler: what the scheduler has imported, no task imports again.
"""

import gc
import importlib
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
    "cosmos",
    "exchange_calendars",
    "pandas_market_calendars",
    "feature_store.quality.judge",
    "feature_store.warehouse.ingest",
    "great_expectations",
)

if sys.argv[1:2] == ["scheduler"]:
    for name in HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and thereby copying, pages shared with the workers
