"""The dashboard: generated, complete, and of the sources that are provisioned."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from feature_store.settings import ROOT

from .panels import DASHBOARD, FILE, PANELS, sources_of

GRAFANA = FILE.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["grafana"]
SOURCES = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "feature_store.yaml").read_text())["datasources"]


def test_the_file_is_what_the_code_makes() -> None:
    assert runpy.run_path(str(FILE.with_suffix(".py")))["rendered"]() == FILE.read_text()


def test_the_code_writes_the_file_beside_itself(tmp_path: Path) -> None:
    code = tmp_path / FILE.with_suffix(".py").name
    code.write_text(FILE.with_suffix(".py").read_text())
    subprocess.run([sys.executable, str(code)], check=True)
    assert (tmp_path / FILE.name).read_text() == FILE.read_text()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_and_what_is_bad(panel: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z0-9].{40,}\.", panel["description"])
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    steps = defaults["thresholds"]["steps"]
    assert len(steps) >= 2
    limits = [step["value"] for step in steps[1:]]
    assert limits == sorted(limits)
    assert panel["targets"]


def test_panels_lie_beside_and_below_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place.get("w", 24)) for y in range(place.get("h", 1))}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_ids_of_panels_are_their_own() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_rows_are_what_an_operator_asks() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows[0] == "Is anything wrong?"
    assert all(title.endswith("?") for title in rows)


def test_features_are_chosen_many_at_once_or_all() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert variable["name"] == "feature"
    assert variable["multi"]
    assert variable["includeAll"]
    # All is then the list of names, which SQL needs.
    assert "allValue" not in variable


def test_every_source_is_provisioned() -> None:
    provisioned = {(source["type"], source["uid"]) for source in SOURCES}
    asked = {(source["type"], source["uid"]) for source in sources_of(DASHBOARD)}
    assert asked == provisioned


def test_the_database_is_read_by_a_login_that_may_do_nothing_else() -> None:
    (postgres,) = [source for source in SOURCES if source["type"] != "prometheus"]
    assert postgres["user"] == "feature_store_api_reader"
    name = postgres["secureJsonData"]["password"]
    assert name.startswith("$")
    assert name[1:] in COMPOSE["environment"]


def test_compose_has_the_dashboard_where_grafana_looks() -> None:
    (mounted,) = [volume.split(":")[1] for volume in COMPOSE["volumes"] if FILE.name in volume]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "feature_store.yaml").read_text())[
        "providers"
    ]
    assert Path(mounted).parent == Path(provider["options"]["path"])
    assert COMPOSE["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == mounted
