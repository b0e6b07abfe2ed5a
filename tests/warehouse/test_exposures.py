"""The exposures of dbt's docs follow the catalog; tests/pipeline/test_dbt.py walks them to the raw tables."""

from pathlib import Path
from typing import Any

import yaml

from feature_store.catalog import Catalog, load_catalog
from feature_store.settings import ROOT
from feature_store.warehouse.exposures import FILE, drifted, lineage, render, write
from tests.serving.publishing import DAY, FLOW, SIGNAL, with_published

CATALOG = load_catalog(ROOT / "include" / "catalog")
NET_LIQUIDITY = CATALOG.feature("macro/us/net_liquidity_usd")


def project(folder: Path, *models: str) -> Path:
    """A dbt project that holds nothing but models of these names."""
    (folder / "models" / "some").mkdir(parents=True)
    for model in models:
        (folder / "models" / "some" / f"{model}.sql").touch()
    return folder


def exposures(catalog: Catalog, folder: Path) -> dict[str, dict[str, Any]]:
    made = yaml.safe_load(render(catalog, folder))["exposures"]
    return {exposure["label"]: exposure for exposure in made}


def test_the_committed_file_has_not_drifted_from_the_catalog() -> None:
    assert drifted(CATALOG) == [], "run `feature-store catalog dbt --write` and commit what changes"


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path, "points_fred__observations")
    assert write(CATALOG, folder) == [FILE]
    assert write(CATALOG, folder) == drifted(CATALOG, folder) == []


def test_a_feature_is_there_as_soon_as_all_its_models_are(tmp_path: Path) -> None:
    models = {"points_fred__observations"}
    assert lineage(CATALOG, NET_LIQUIDITY) == {"derived_net_liquidity", *models}
    before = exposures(CATALOG, project(tmp_path / "before", *models))
    after = exposures(CATALOG, project(tmp_path / "after", *models, "derived_net_liquidity"))
    assert set(after) - set(before) == {NET_LIQUIDITY.id}
    assert set(before) == {"macro/us/walcl_total_usd", "macro/us/tga_balance_usd", "macro/us/rrp_total_usd"}


def test_a_twin_stands_on_its_model_and_its_input() -> None:
    twin = CATALOG.feature("cex/binance/btcusdt_volume_usd_sa")
    assert lineage(CATALOG, twin) == {"seasonal_factors", "points_binance__klines_1h"}


def test_a_derived_feature_of_a_derived_one_leads_to_the_raw_tables_of_both() -> None:
    above = NET_LIQUIDITY.model_copy(
        update={"id": "macro/us/net_liquidity_yoy", "inputs": (NET_LIQUIDITY.id, "crypto/btc/price_usd")}
    )
    assert lineage(CATALOG, above) == {
        "derived_net_liquidity", "points_fred__observations", "points_binance__klines_1m",
    }  # fmt: skip


def test_an_exposure_says_what_the_catalog_says(tmp_path: Path) -> None:
    folder = project(tmp_path, "points_fred__observations", "derived_net_liquidity", "points_binance__klines_1m")
    made = exposures(CATALOG, folder)
    total = made["macro/us/walcl_total_usd"]
    assert total["name"] == "macro__us__walcl_total_usd"
    assert total["owner"] == {"name": "macro-research"}
    assert total["url"] == "https://fred.stlouisfed.org/docs/api/fred/"
    assert total["config"] == {
        "tags": ["liquidity", "fed", "h41"],
        "meta": {
            "feature": "macro/us/walcl_total_usd",
            "version": 1,
            "unit": "USD",
            "frequency": "1d",
            "available": "1 day after its date at 16:30 America/New_York, moved on to an open day of us-federal",
            "raw_table": "raw.fred_observations",
            "series": "WALCL",
            "column": "value",
        },
    }
    assert total["description"].startswith("Total assets of the Federal Reserve Banks")
    price = made["crypto/btc/price_usd"]
    assert "2 seconds after the time it describes is over" in price["description"]
    assert "one each minute of the calendar 24x7; `ts` is the start of its 1 minute" in price["description"]
    assert price["config"]["meta"]["column"] == "close"
    derived = made[NET_LIQUIDITY.id]
    assert derived["config"]["meta"]["inputs"] == list(NET_LIQUIDITY.inputs)
    assert "when the last of its inputs is" in derived["description"]
    assert "url" not in derived


def test_every_release_rule_of_the_catalog_has_its_words(tmp_path: Path) -> None:
    names = {name for feature in CATALOG.features.values() for name in lineage(CATALOG, feature)}
    made = exposures(CATALOG, project(tmp_path, *names))
    assert set(made) == set(CATALOG.features)
    words = {exposure["config"]["meta"]["available"] for exposure in made.values()}
    assert {
        "at the time it describes",
        "on its own date at 17:45 America/New_York",
        "2 days after its date at 00:00 UTC",
    } < words
    assert not [said for said in words if "PT" in said]


def test_what_may_be_published_leads_to_what_was(tmp_path: Path) -> None:
    catalog = with_published(CATALOG)
    assert lineage(catalog, catalog.feature(FLOW)) == {"points_farside__btc", "points_published__points"}
    made = exposures(catalog, project(tmp_path, "points_farside__btc", "points_published__points"))
    assert set(made) == {FLOW, DAY, SIGNAL}
    assert "made from: Total of Farside Investors, and what is published" in made[FLOW]["description"]
    assert made[DAY]["config"]["meta"]["raw_table"] == "raw.published_points"
    assert made[DAY]["config"]["meta"]["available"] == "when its publishers say, and else when it is published"
