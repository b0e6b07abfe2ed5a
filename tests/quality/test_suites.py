"""The committed suites are what the catalog says, in the very form in which Great Expectations reads them."""

import json
import shutil
from pathlib import Path

import pytest

from feature_store.catalog import Catalog
from feature_store.quality import project
from feature_store.quality.raw_tables import RAW_TABLES
from feature_store.quality.rules import CANDIDATES, candidate_rules, raw_rules
from feature_store.quality.suites import CONFIG, PROJECT, build_suites, drifted, write_suites


def test_the_committed_suites_have_not_drifted_from_the_catalog(catalog: Catalog) -> None:
    assert drifted(catalog) == [], "run `feature-store quality suites --write` and commit the result"


def test_writing_the_suites_twice_changes_nothing(catalog: Catalog, tmp_path: Path) -> None:
    shutil.copyfile(PROJECT / CONFIG, tmp_path / CONFIG)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "gone.json").write_text("{}")
    assert len(write_suites(catalog, tmp_path)) == len(build_suites(catalog)) + 1
    assert write_suites(catalog, tmp_path) == []
    assert (tmp_path / CONFIG).read_text() == (PROJECT / CONFIG).read_text()


def test_every_raw_table_of_a_connected_stream_is_judged(catalog: Catalog) -> None:
    judged = {(table.slug, table.stream) for table in RAW_TABLES}
    assert judged == {*catalog.connected_streams, ("published", "points")}


def test_a_table_that_is_not_in_the_project_is_drift(catalog: Catalog, tmp_path: Path) -> None:
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    assert drifted(catalog, tmp_path) == []
    config = tmp_path / CONFIG
    config.write_text(config.read_text().replace("farside_btc", "farside_bct"))
    assert drifted(catalog, tmp_path) == [config]


@pytest.mark.parametrize("name", [CANDIDATES, "raw_fred_observations"])
def test_great_expectations_reads_the_suites_as_they_are_written(catalog: Catalog, home: Path, name: str) -> None:
    with project.opened(catalog, home) as context:
        read = context.suites.get(name).to_json_dict()
    assert read == json.loads((PROJECT / "suites" / f"{name}.json").read_text())


def test_every_feature_has_its_range_and_every_rule_its_reason(catalog: Catalog) -> None:
    rules = [*candidate_rules(catalog), *raw_rules(catalog, RAW_TABLES[0])]
    assert {rule.feature for rule in rules if rule.name == "expected_range"} == set(catalog.features)
    assert all(rule.reason and rule.expected for rule in rules)


def test_the_project_on_disk_is_not_touched_by_opening_it(catalog: Catalog, home: Path) -> None:
    before = {path: path.read_bytes() for path in PROJECT.rglob("*") if path.is_file()}
    with project.opened(catalog, home):
        pass
    assert {path: path.read_bytes() for path in PROJECT.rglob("*") if path.is_file()} == before


def test_the_project_sends_no_analytics_and_names_no_password() -> None:
    text = (PROJECT / "great_expectations.yml").read_text()
    assert "analytics_enabled: false" in text
    assert text.count("connection_string: ${FEATURE_STORE_GX_DSN}") == text.count("connection_string:")


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        ("postgresql://u:p%40%24x@h:5432/d", "postgresql+psycopg://u:p%40%24x@h:5432/d"),
        ("host=h user=u password='a b' dbname=d sslmode=require", "postgresql+psycopg://u:a b@h/d?sslmode=require"),
        ("host=/run/pg dbname=d options='-c x=y'", "postgresql+psycopg:///d?host=%2Frun%2Fpg"),
    ],
)  # fmt: skip
def test_any_connection_string_becomes_a_url(dsn: str, url: str) -> None:
    assert project._url(dsn) == url
