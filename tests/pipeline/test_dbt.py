"""The dbt project: its own unit tests and data tests pass, everything in it is described, its docs are one page."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult

from feature_store.catalog import Catalog
from feature_store.pipeline.models import project
from feature_store.settings import Settings
from feature_store.warehouse.dbt import dbt_environment, docs_page, target_folder
from tests.conftest import database

from .conftest import NAME
from .store import Store, shipped

Artifact = dict[str, Any]
"""A JSON file that dbt writes."""

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


def test_every_model_has_a_unit_test(built: Store) -> None:
    manifest = project(built.settings)
    tested = {name for test in manifest.unit_tests.values() for name in test.depends_on.nodes}
    # What the one writer writes: tests/warehouse/test_append_versions.py is about it.
    written = {"features_versions", "features_values", "latest_values"}
    models = {
        node.unique_id for node in manifest.nodes.values() if node.resource_type == "model" and node.name not in written
    }
    assert len(models) > 45
    assert models - tested == set()


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


@pytest.fixture(scope="module")
def documented(server: str, stocked: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """dbt's manifest and catalog of the whole project, as its docs show them."""
    with database(server, NAME, stocked) as dsn:
        settings = Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=tmp_path_factory.mktemp("documented"))
        with patch.dict(os.environ, dbt_environment(settings)):
            assert dbtRunner().invoke(["docs", "generate", "--quiet"]).success
    folder = target_folder(settings)
    manifest, catalog = (json.loads((folder / name).read_text()) for name in ("manifest.json", "catalog.json"))
    return manifest, catalog


KINDS = ("nodes", "sources", "exposures", "unit_tests", "macros")


def test_everything_is_described(documented: tuple[Artifact, Artifact]) -> None:
    manifest, _ = documented
    ours = [entry for kind in KINDS for entry in manifest[kind].values() if entry["package_name"] == "feature_store"]
    assert {entry["resource_type"] for entry in ours} == {"model", "source", "test", "exposure", "unit_test", "macro"}
    assert [f"{entry['resource_type']} {entry['name']}" for entry in ours if not entry["description"]] == []


def test_every_column_says_in_the_docs_what_its_comment_says(documented: tuple[Artifact, Artifact]) -> None:
    manifest, catalog = documented
    described = {**manifest["nodes"], **manifest["sources"]}
    found = {**catalog["nodes"], **catalog["sources"]}
    assert {name for name, entry in described.items() if entry["resource_type"] in ("model", "source")} == set(found)
    differing = []
    for name, relation in found.items():
        said = {column: about["description"] for column, about in described[name]["columns"].items()}
        commented = {column["name"]: column["comment"] for column in relation["columns"].values()}
        differing += [f"{name}: {{name: {c}, description: {commented.get(c)}}}" for c in said | commented
                      if not said.get(c) or said[c] != commented.get(c)]  # fmt: skip
    assert not differing, "describe these columns as their comments do:\n" + "\n".join(differing)


def test_a_feature_leads_to_its_raw_tables_and_to_no_other(documented: tuple[Artifact, Artifact]) -> None:
    manifest, _ = documented
    catalog = shipped()
    exposures = {entry["meta"]["feature"]: name for name, entry in manifest["exposures"].items()}
    assert set(exposures) == set(catalog.features)
    for feature_id, name in exposures.items():
        assert raw_sources(manifest, name) == raw_tables(catalog, feature_id), feature_id


def raw_sources(manifest: Artifact, name: str) -> set[str]:
    """The raw tables that one comes to by walking up from a node."""
    seen, frontier = set(), {name}
    while frontier:
        seen |= frontier
        frontier = {parent for child in frontier for parent in manifest["parent_map"][child]} - seen
    return {name.removeprefix("source.feature_store.raw.") for name in seen if ".raw." in name}


def raw_tables(catalog: Catalog, feature_id: str) -> set[str]:
    """The raw tables that feed a feature by the catalog."""
    feature = catalog.feature(feature_id)
    if feature.is_derived:
        return set().union(*(raw_tables(catalog, name) for name in feature.inputs))
    published = {"published_points"} if feature.is_publishable else set()
    return {f"{catalog.source(feature.source.id).slug}_{feature.stream}"} | published


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
