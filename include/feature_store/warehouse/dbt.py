"""How dbt finds the project, its state directory and the database: by environment variables alone."""

from pathlib import Path

import psycopg

from feature_store.settings import ROOT, Settings

PROJECT = ROOT / "dbt_project"


def target_folder(settings: Settings) -> Path:
    """Where dbt writes what it parsed, compiled SQL and docs."""
    return settings.home / "dbt" / "target"


def parsed_project(settings: Settings) -> Path:
    """The file in which dbt keeps the project as it parsed it: whoever runs it next reads that."""
    return target_folder(settings) / "partial_parse.msgpack"


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The variables that `profiles.yml` reads and dbt's own; carries the database's password."""
    place = psycopg.conninfo.conninfo_to_dict(settings.postgres_dsn)
    return {
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(target_folder(settings)),
        "DBT_LOG_PATH": str(settings.home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "FEATURE_STORE_PGHOST": str(place["host"]),
        "FEATURE_STORE_PGPORT": str(place.get("port", 5432)),
        "FEATURE_STORE_PGUSER": str(place["user"]),
        "FEATURE_STORE_PGPASSWORD": str(place.get("password", "")),
        "FEATURE_STORE_PGDATABASE": str(place["dbname"]),
    }


def docs_page(settings: Settings) -> Path:
    """The page that `dbt docs generate --static` writes: one file, readable offline."""
    return target_folder(settings) / "static_index.html"
