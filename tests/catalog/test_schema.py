"""The JSON Schemas beside the catalog files."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from feature_store.catalog.schema import SCHEMAS, drifted, write
from feature_store.catalog.yaml_file import read_yaml
from feature_store.settings import ROOT

SHIPPED = ROOT / "include" / "catalog"


def test_the_schemas_have_not_drifted_from_the_contracts() -> None:
    assert drifted(SHIPPED) == [], "run `feature-store catalog schema --write`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_shipped_files_satisfy_the_schema_that_editors_use(name: str) -> None:
    schema = json.loads((SHIPPED / name).read_text())
    text = (SHIPPED / name.replace(".schema.json", ".yaml")).read_text()
    assert text.startswith(f"# yaml-language-server: $schema=./{name}\n")
    content = json.loads(json.dumps(read_yaml(SHIPPED / name.replace(".schema.json", ".yaml")), default=float))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(content)] == []


def test_an_editor_learns_of_an_unknown_key() -> None:
    schema = json.loads((SHIPPED / "features.schema.json").read_text())
    assert schema["$defs"]["FeatureSpec"]["additionalProperties"] is False


def test_writing_twice_writes_once(tmp_path: Path) -> None:
    assert [path.name for path in write(tmp_path)] == list(SCHEMAS)
    assert write(tmp_path) == []
