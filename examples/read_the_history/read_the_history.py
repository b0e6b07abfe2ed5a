"""Read the history from other engines, in an environment without the feature store: pyiceberg, DuckDB, Daft.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    feature-store stack info --json | .venv/bin/python read_the_history.py macro/us/walcl_total_usd [SNAPSHOT]

Prints the newest points of a feature as DuckDB sees them, and how many versions of it each year holds as Daft does.
"""

import json
import sys

import daft
import duckdb
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table


def open_table(stack: dict[str, str]) -> Table:
    """The Iceberg table of all versions; `stack` is what `feature-store stack info --json` prints."""
    catalog = SqlCatalog(
        "feature_store",
        uri=f"{stack['postgres_dsn'].replace('postgresql://', 'postgresql+psycopg2://')}?options=-csearch_path%3Dops",
        init_catalog_tables="false",
        **{
            "s3.endpoint": stack["s3_endpoint"],
            "s3.access-key-id": stack["s3_access_key"],
            "s3.secret-access-key": stack["s3_secret_key"],
            "s3.region": "us-east-1",
        },
    )
    return catalog.load_table("feature_store.features_versions")


def newest_points(table: Table, feature_id: str, snapshot: str | None) -> duckdb.DuckDBPyRelation:
    """What is known today, or was at a named snapshot: of each ts the newest version."""
    scan = table.scan(
        row_filter=EqualTo("feature_id", feature_id),
        selected_fields=("ts", "value", "available_at", "available_basis", "ingested_at"),
    )
    versions = (scan.use_ref(snapshot) if snapshot else scan).to_arrow()  # noqa: F841 - DuckDB reads it by its name
    return duckdb.sql(
        """select distinct on (ts) ts, value, available_at, available_basis
           from versions order by ts desc, available_at desc, ingested_at desc"""
    )


def versions_by_year(table: Table, feature_id: str) -> daft.DataFrame:
    """How many versions of a feature lie in each year."""
    versions = daft.read_iceberg(table).where(daft.col("feature_id") == feature_id)
    years = versions.groupby(daft.col("ts").year().alias("year"))
    return years.agg(daft.col("ts").count().alias("versions")).sort("year")


def main() -> None:
    """Print both."""
    feature_id, snapshot = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else None)
    table = open_table(json.load(sys.stdin))
    duckdb.sql("set timezone = 'UTC'")
    newest_points(table, feature_id, snapshot).limit(5).show()
    versions_by_year(table, feature_id).show(50)


if __name__ == "__main__":
    main()
