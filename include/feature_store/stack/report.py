"""What `make up` prints at its end: the features with their latest values, the addresses and the logins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import psycopg
from rich.console import Console
from rich.table import Table

from feature_store import clock
from feature_store.display import number
from feature_store.stack import api
from feature_store.stack.airflow import USER
from feature_store.stack.services import Stack

LATEST = """
with held as (
  select feature_id, count(*) as points, min(ts) as first_ts from features.features_values group by feature_id
)
select feature_id, points, first_ts, ts, value, unit, available_basis, is_provisional, is_stale
from features.latest left join held using (feature_id) order by feature_id
"""


def info(stack: Stack) -> dict[str, str | None]:
    """The handles that scripts rely on; the keys are always there, null until the thing itself is."""
    return {
        "postgres_dsn": stack.settings.postgres_dsn,
        "airflow_url": stack.airflow.url,
        "airflow_user": USER,
        "airflow_password": stack.secrets["airflow_password"],
        "api_url": api.url(stack.settings),
        "api_key": stack.secrets.get("api_key"),
        "s3_endpoint": stack.s3.endpoint,
        "s3_access_key": stack.s3.access_key,
        "s3_secret_key": stack.s3.secret_key,
        "s3_uri": stack.settings.export_s3_uri,
        "replay_url": stack.settings.replay_url if stack.settings.upstream == "replay" else None,
        "now": _now(stack.settings.postgres_dsn),
    }


def print_features(console: Console, dsn: str) -> int:
    """Print each feature that has a value, with how many points it has and from when to when; gives their number."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(LATEST).fetchall()
    table = Table(title="Features: points and latest values, UTC")
    for name in ("feature", "points", "first ts", "last ts", "value", "unit", "basis", "stale"):
        table.add_column(name, justify="right" if name in ("points", "value") else "left", no_wrap=True)
    for feature_id, points, first, ts, value, unit, basis, is_provisional, is_stale in rows:
        said = [f"{points:,}", _at(first), _at(ts), number(value), unit, "provisional" if is_provisional else basis]
        table.add_row(feature_id, *said, "stale" if is_stale else "no")
    console.print(table)
    return len(rows)


def print_addresses(
    console: Console, handles: Mapping[str, str | None], pages: Mapping[str, Path] = MappingProxyType({})
) -> None:
    """Print where everything is and how to log in; `pages` are files for the browser."""
    login = f"user {handles['airflow_user']}, password {handles['airflow_password']}"
    lines: Sequence[tuple[str, str]] = [
        (
            "Airflow",
            f"{handles['airflow_url']}  {login}",
        ),
        *_to_the_api(handles),
        ("PostgreSQL", f"psql '{handles['postgres_dsn']}'"),
        (
            "S3",
            f"{handles['s3_endpoint']}  key {handles['s3_access_key']}, secret {handles['s3_secret_key']}",
        ),
        ("Bucket", f"{handles['s3_uri']}"),
        ("Replay", f"{handles['replay_url']}"),
        *((name, page.as_uri()) for name, page in pages.items() if page.exists()),
    ]
    for name, text in lines:
        if text != "None":
            console.print(f"{name:<11} {text}", markup=False, highlight=False, soft_wrap=True)


def _to_the_api(handles: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Nothing before there is a key."""
    url, key = handles["api_url"], handles["api_key"]
    if key is None:
        return []
    return [("API", f"{url}  key {key}"), ("", f"curl -H 'Authorization: Bearer {key}' '{url}/v1/latest'")]


def _now(dsn: str) -> str | None:
    try:
        with psycopg.connect(dsn, connect_timeout=3) as connection:
            return clock.now(connection).isoformat()
    except psycopg.Error:  # the database is down, or has no tables yet
        return None


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
