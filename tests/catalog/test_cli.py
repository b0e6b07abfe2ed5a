"""`feature-store catalog`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feature_store.cli.catalog import app

runner = CliRunner()


def test_validate_says_what_the_catalog_holds() -> None:
    result = runner.invoke(app, ["validate"])
    assert (result.exit_code, result.output) == (0, "ok: 8 sources, 25 features, 5 of them derived\n")


def test_validate_tells_a_mistake_with_exit_code_2(edited: Callable[..., Path]) -> None:
    folder = edited("macro/us/walcl_total_usd", {"entity": "planet"})
    result = runner.invoke(app, ["validate", "--catalog", str(folder)])
    assert result.exit_code == 2
    assert "features.yaml: macro/us/walcl_total_usd: field entity" in result.output
    assert "Traceback" not in result.output


def test_list_shows_which_features_have_a_connector() -> None:
    result = runner.invoke(app, ["list"])
    lines = {line.split()[0]: line for line in result.output.splitlines() if "/" in line}
    assert len(lines) == 25
    assert lines["macro/us/walcl_total_usd"].rstrip().endswith("  connected")
    assert lines["cex/agg/perp_oi_usd"].rstrip().endswith("  connected")


def test_list_speaks_json() -> None:
    features = json.loads(runner.invoke(app, ["list", "--json"]).output)["features"]
    assert features[0]["id"] == "macro/us/walcl_total_usd"
    assert features[0]["connector"] == "connected"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_prints_one_feature(options: list[str]) -> None:
    result = runner.invoke(app, ["show", "macro/us/tga_balance_usd", *options])
    assert result.exit_code == 0
    assert "WTREGEN" in result.output


def test_show_names_the_nearest_feature() -> None:
    result = runner.invoke(app, ["show", "macro/us/walcl"])
    assert result.exit_code == 2
    assert "did you mean macro/us/walcl_total_usd" in result.output


def test_schema_is_checked_and_written(folder: Path) -> None:
    (folder / "features.schema.json").write_text("{}")
    checked = runner.invoke(app, ["schema", "--catalog", str(folder)])
    assert checked.exit_code == 2
    assert "differs from the contracts" in checked.output
    assert runner.invoke(app, ["schema", "--write", "--catalog", str(folder)]).exit_code == 0
    assert runner.invoke(app, ["schema", "--catalog", str(folder)]).exit_code == 0
