"""The dbt project: its own unit tests and data tests pass, everything in it is described, its docs are one page."""

import json
import os
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult

from feature_store.pipeline.models import project
from feature_store.warehouse.dbt import dbt_environment, docs_page, target_folder

from .store import Store

HISTORY = "ts,value,available_at\n2024-03-06,1000000,2024-03-07T21:30:00Z\n2024-03-13,3000000,2024-03-14T20:30:00Z\n"


def dbt(store: Store, *arguments: str, parsed: bool = True) -> dbtRunnerResult:
    manifest = project(store.settings) if parsed else None
    with patch.dict(os.environ, dbt_environment(store.settings)):
        return dbtRunner(manifest=manifest).invoke([*arguments, "--quiet"])


@pytest.fixture
def built(store: Store) -> Store:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-20")
    store.ingest()
    store.conn.execute("select ops.open_window('transform')")
    store.conn.commit()
    return store


def test_unit_tests_and_data_tests_pass(built: Store) -> None:
    result = dbt(built, "build")
    assert result.success, result.exception
    kinds = [node.node.resource_type for node in result.result.results]  # type: ignore[union-attr]
    assert kinds.count("unit_test") >= 4
    assert kinds.count("test") >= 4
    assert built.count("features.features_versions") == 2


def test_a_stated_unit_without_a_factor_fails_the_build(built: Store) -> None:
    built.conn.execute("update raw.fred_observations set unit = 'Trillions of Dollars' where ts = '2024-03-13'")
    built.conn.commit()
    result = dbt(built, "build", "--exclude-resource-type", "unit_test")
    assert not result.success
    failed = [node.node.name for node in result.result.results if node.status == "fail"]  # type: ignore[union-attr]
    assert failed == ["every_stated_unit_of_fred_has_a_factor"]
    assert built.count("features.features_versions") == 0, "nothing is published"


def test_a_full_refresh_never_drops_the_feature_tables(built: Store) -> None:
    dbt(built, "run")
    before = built.conn.execute(
        "select 'features.features_versions'::regclass::oid, count(*) from features.features_versions"
    )
    held = before.fetchone()
    assert dbt(built, "run", "--full-refresh").success
    after = built.conn.execute(
        "select 'features.features_versions'::regclass::oid, count(*) from features.features_versions"
    )
    assert after.fetchone() == held


def test_every_model_source_and_column_is_described(built: Store) -> None:
    assert dbt(built, "parse", parsed=False).success
    manifest = json.loads((target_folder(built.settings) / "manifest.json").read_text())
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    named = [node for node in nodes if node["resource_type"] in ("model", "source")]
    assert len(named) >= 9
    undescribed = [node["name"] for node in named if not node["description"]]
    undescribed += [
        f"{node['name']}.{column['name']}"
        for node in named
        for column in node["columns"].values()
        if not column["description"]
    ]
    assert undescribed == []


def test_docs_are_one_page_made_offline(built: Store) -> None:
    dbt(built, "run")
    assert dbt(built, "docs", "generate", "--static", parsed=False).success
    page = docs_page(built.settings)
    assert Path(page).stat().st_size > 1_000_000
    assert "a change makes a new row, nothing is overwritten" in page.read_text()


def test_no_password_reaches_what_dbt_writes(built: Store) -> None:
    dbt(built, "build", "--exclude-resource-type", "unit_test")
    password = str(psycopg.conninfo.conninfo_to_dict(built.settings.postgres_dsn)["password"])
    written = [path for path in (built.settings.home / "dbt").rglob("*") if path.is_file()]
    assert written
    assert [path.name for path in written if password.encode() in path.read_bytes()] == []
