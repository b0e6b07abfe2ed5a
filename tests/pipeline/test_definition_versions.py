"""A changed scale, release rule or formula is a new version of the feature, and the old one stays readable."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from feature_store.catalog.contracts import DayRule
from feature_store.catalog.sync import sync
from feature_store.errors import CatalogError, WarehouseError
from feature_store.pipeline.formulas import check_formulas, formulas_of
from feature_store.pipeline.models import project, run_dbt

from .store import RRP, TGA, WALCL, Store

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

NET = "macro/us/net_liquidity_usd"
YOY = "crypto/stables/mcap_total_usd_yoy"


def redefine(store: Store, **changes: dict[str, Any]) -> None:
    """Synchronise a catalog in which some features have other keys, under the names that this module gives them."""
    names = {"walcl": WALCL, "net": NET}
    changed = {
        names[name]: store.catalog.features[names[name]].model_copy(update=given) for name, given in changes.items()
    }
    catalog = replace(store.catalog, features={**store.catalog.features, **changed})
    sync(store.conn, catalog)
    store.conn.commit()
    store.catalog = catalog


def state(store: Store, relation: str, feature: str = WALCL) -> list[tuple[int, str, float | None]]:
    """(version, ts as a date, value) of a feature in a relation, in order."""
    return store.conn.execute(
        f"""select version, ts::date::text, value from features.{relation}
            where feature_id = %s order by version, ts, available_at""".encode(),
        (feature,),
    ).fetchall()


@pytest.fixture
def assets(store: Store) -> Store:
    """Two Wednesdays of the Fed's assets, in millions, published under version 1."""
    store.serve("WALCL", "ts,value\n2024-03-13,7500000\n2024-03-20,7480000\n")
    store.at("2024-03-22")
    store.run()
    return store


def test_another_scale_under_the_same_version_is_refused_and_changes_nothing(assets: Store) -> None:
    with pytest.raises(CatalogError, match=f"{WALCL}: field scale: given 1, but version 1 was synchronised with"):
        redefine(assets, walcl={"scale": Decimal(1)})
    assert assets.transform() == 0


def test_after_a_new_scale_both_versions_are_readable_and_the_newest_is_served(assets: Store) -> None:
    old = [(1, "2024-03-13", 7500e9), (1, "2024-03-20", 7480e9)]
    new = [(2, "2024-03-13", 7500.0), (2, "2024-03-20", 7480.0)]
    assert state(assets, "features_values") == old
    redefine(assets, walcl={"version": 2, "unit": "USD billions", "scale": Decimal("0.001")}, net={"version": 2})
    assert assets.transform() == 2
    assert state(assets, "features_versions") == state(assets, "as_of('infinity')") == old + new
    assert state(assets, "as_of('2024-03-15')") == [old[0], new[0]]
    assert state(assets, "features_values") == new
    assert state(assets, "latest_values") == state(assets, "latest_as_of('infinity')") == new[1:]


def test_a_new_release_rule_holds_for_what_is_loaded_from_then_on(assets: Store) -> None:
    release = assets.catalog.feature(WALCL).release
    assert isinstance(release, DayRule)
    redefine(assets, walcl={"version": 2, "release": release.model_copy(update={"at": "17:00"})}, net={"version": 2})
    assets.serve("WALCL", "ts,value\n2024-03-13,7500000\n2024-03-20,7480000\n2024-03-27,7490000\n")
    assets.at("2024-03-29")
    assets.run()
    rows = assets.conn.execute(
        """select version, ts::date::text, to_char(available_at, 'MM-DD"T"HH24:MI') from features.features_versions
           where feature_id = %s order by version, ts""",
        (WALCL,),
    ).fetchall()
    assert rows == [
        (1, "2024-03-13", "03-14T20:30"),
        (1, "2024-03-20", "03-21T20:30"),
        (2, "2024-03-13", "03-14T20:30"),
        (2, "2024-03-20", "03-21T20:30"),
        (2, "2024-03-27", "03-28T21:00"),
    ]


def test_a_derived_feature_follows_the_new_version_of_its_input_in_a_version_of_its_own(assets: Store) -> None:
    assets.serve("WTREGEN", "ts,value,unit\n2024-03-13,760000,Millions of U.S. Dollars\n")
    assets.serve("RRPONTSYD", "ts,value\n2024-03-20,450\n")
    assets.derives = True
    assets.run()
    before = state(assets, "features_versions", NET)
    assert before[-1] == (1, "2024-03-20", 7480e9 - 760e9 - 450e9)
    with pytest.raises(CatalogError, match=f"{NET}: version 1 is computed from version 1 of {WALCL}"):
        redefine(assets, walcl={"version": 2, "scale": Decimal(2_000_000)})
    redefine(assets, walcl={"version": 2, "scale": Decimal(2_000_000)}, net={"version": 2})
    assets.transform()
    after = state(assets, "features_versions", NET)
    assert [row for row in after if row[0] == 1] == before
    assert after[-1] == (2, "2024-03-20", 2 * 7480e9 - 760e9 - 450e9)
    assert {version for version, *_ in state(assets, "features_values", NET)} == {2}


def test_a_formula_is_noted_once_and_held_to_its_version(store: Store) -> None:
    check_formulas(store.conn, store.settings, store.catalog)
    noted = store.conn.execute("select * from registry.formulas order by 1").fetchall()
    models = {feature_id: model for feature_id, _, model, *_ in noted}
    assert models[NET] == "derived_net_liquidity"
    assert models[f"{TGA}_sa"] == "seasonal_factors"
    check_formulas(store.conn, store.settings, store.catalog)
    assert store.conn.execute("select * from registry.formulas order by 1").fetchall() == noted


def test_another_formula_needs_a_higher_version(store: Store) -> None:
    check_formulas(store.conn, store.settings, store.catalog)
    store.conn.execute("update registry.formulas set sha256 = repeat('0', 64) where feature_id = %s", (NET,))
    store.conn.commit()
    with pytest.raises(
        CatalogError,
        match=f"features.yaml: {NET}: the formula in model derived_net_liquidity is not the one that version 1 was "
        "computed by; raise version to 2 in features.yaml",
    ) as error:
        check_formulas(store.conn, store.settings, store.catalog)
    assert YOY not in str(error.value)
    redefine(store, net={"version": 2})
    check_formulas(store.conn, store.settings, store.catalog)
    assert store.count(f"registry.formulas where feature_id = '{NET}'") == 2


@pytest.fixture
def manifest(store: Store) -> "Manifest":
    """The parsed project, for a test to change."""
    return deepcopy(project(store.settings))


def model(name: str, change: Callable[[str], str]) -> Callable[["Manifest"], None]:
    def apply(manifest: "Manifest") -> None:
        node: Any = manifest.nodes[f"model.feature_store.{name}"]
        assert change(node.raw_code) != node.raw_code
        node.raw_code = change(node.raw_code)

    return apply


def macro(name: str, change: Callable[[str], str]) -> Callable[["Manifest"], None]:
    def apply(manifest: "Manifest") -> None:
        given = manifest.macros[f"macro.feature_store.{name}"]
        assert change(given.macro_sql) != given.macro_sql
        given.macro_sql = change(given.macro_sql)

    return apply


ANOTHER_NUMBER = [
    model("derived_net_liquidity", lambda text: text.replace("treasury - repos", "treasury + repos")),
    macro("inputs_as_of", lambda text: text.replace("{%- endmacro", "limit 1 {%- endmacro")),
    macro("valid_at", lambda text: text.replace("desc", "asc")),
    macro("versions_from", lambda text: text.replace("{%- endmacro", "limit 1 {%- endmacro")),
]
THE_SAME_NUMBERS = [
    model("derived_net_liquidity", lambda text: f"-- isn't it?\n{{# nor 'this #}}{text}/* {{ }} */\n"),
    model("derived_net_liquidity", lambda text: text.replace("\n", "\n\t ").replace(" - ", "-")),
    model("derived_net_liquidity", lambda text: "{{ config(tags=['x'], meta={'a': f()}) }}\n" + text),
    model("derived_net_liquidity", lambda text: text.replace("{{ ", "{{- ")),
    macro("inputs_as_of", lambda text: text.replace("{% macro", "{# more #}\n{%- macro")),
    macro("is_new", lambda text: text.replace(">=", ">")),
    macro("input_points_with_news", lambda text: text.replace("{%- endmacro", "limit 1 {%- endmacro")),
    model("derived_year_on_year", lambda text: text.replace("365", "366")),
    model("points_fred__observations", lambda text: text + " and true"),
    macro("seasons", lambda text: text + " "),
]


@pytest.mark.parametrize("change", ANOTHER_NUMBER)
def test_sql_that_makes_another_number_is_another_formula(
    manifest: "Manifest", change: Callable[["Manifest"], None]
) -> None:
    before = formulas_of(manifest)["derived_net_liquidity"]
    change(manifest)
    assert formulas_of(manifest)["derived_net_liquidity"] != before


@pytest.mark.parametrize("change", THE_SAME_NUMBERS)
def test_words_white_space_and_what_is_read_first_are_no_formula(
    manifest: "Manifest", change: Callable[["Manifest"], None]
) -> None:
    before = formulas_of(manifest)["derived_net_liquidity"]
    change(manifest)
    assert formulas_of(manifest)["derived_net_liquidity"] == before


def test_inputs_in_two_units_fail_the_build_with_both(store: Store) -> None:
    run_dbt(store.settings, "test", "--select", "source:registry.feature_inputs")
    store.conn.execute("update registry.feature_inputs set input_unit = 'USD millions' where input_id = %s", (RRP,))
    store.conn.commit()
    with pytest.raises(WarehouseError, match=rf"inputs_share_a_unit.*found {NET}, USD, {RRP}, USD millions"):
        run_dbt(store.settings, "test", "--select", "source:registry.feature_inputs")
