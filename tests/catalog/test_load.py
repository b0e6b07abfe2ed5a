"""A wrong catalog says what is wrong: file, entry, field, what was given, what is allowed."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from feature_store.catalog import Catalog, load_catalog, normal_unit
from feature_store.catalog.contracts import FeatureSpec
from feature_store.errors import CatalogError

WALCL = "macro/us/walcl_total_usd"
NET = "macro/us/net_liquidity_usd"
RRP = "macro/us/rrp_total_usd"
VIX = "macro/us/vix_index"

Edit = Callable[..., Path]

# Of a connector's entry one that is published alone.
PUBLISHED: dict[str, Any] = {
    "source/id": "publish", "source/schema": "published_points", "writers": ["publish"],
    **dict.fromkeys(("stream", "series", "field", "scale", "release", "revises", "provisional")),
}  # fmt: skip

MISTAKES: list[tuple[str, dict[str, Any], list[str]]] = [
    (WALCL, {"colour": "red"}, ["field colour: unknown key; allowed: id, entity"]),
    (WALCL, {"source/kind": "x"}, ["field source.kind: unknown key; allowed: id, class, schema"]),
    (WALCL, {"owner": None}, ["field owner: missing"]),
    (WALCL, {"entity": "planet"}, ["field entity", "'market' or 'macro'", "given: 'planet'"]),
    (WALCL, {"ttl_ms": -1}, ["field ttl_ms", "given: -1"]),
    (WALCL, {"ttl_ms": "10 days"}, ["field ttl_ms", "given: '10 days'"]),
    (WALCL, {"calendar": "lunar"}, ["field calendar", "'weekly-wed'", "given: 'lunar'"]),
    (WALCL, {"label": "start"}, ["label start needs a period"]),
    (WALCL, {"period": "P7D"}, ["label instant takes no period"]),
    ("macro/us/tga_balance_usd", {"period": "a week"}, ["field period", "ISO 8601", "given: 'a week'"]),
    (WALCL, {"quality/expected_range": [2, 1]}, ["expected_range [2.0, 1.0] must ascend"]),
    (WALCL, {"release/zone": "Mars/Olympus"}, ["field release.zone", "IANA", "given: 'Mars/Olympus'"]),
    (WALCL, {"release/at": "25:00"}, ["field release.at", "given: '25:00'"]),
    (WALCL, {"release/weekday": "mon"}, ["field release", "exactly one of days", "weekday"]),
    (WALCL, {"release": {"after": "valid_at", "delay": "2 s"}}, ["field release.delay", "given: '2 s'"]),
    (WALCL, {"scale": 0}, ["field scale", "greater than 0", "given: 0"]),
    (WALCL, {"scale": {"USD": 1, "U.S.D.": 2}}, ["scale names one unit twice"]),
    (
        WALCL,
        {"scale": {"Millions of U.S. Dollars": 1.0e9}},
        ["field scale: given 1000000000 for 'Millions of U.S. Dollars'; to USD, the feature's unit, it is 1000000"],
    ),
    (RRP, {"scale": {"Billions of US Dollars": 1.0e6}}, ["given 1000000 for 'Billions of US Dollars'; to USD"]),
    (RRP, {"scale": {"Millions of Euros": 1.0e6}}, ["'Millions of Euros' is EUR; no factor makes it USD"]),
    (RRP, {"unit": "EUR"}, ["'Billions of US Dollars' is USD; no factor makes it EUR"]),
    (RRP, {"unit": "USD millions"}, ["given 1000000000 for 'Billions of US Dollars'; to USD millions", "it is 1000"]),
    (WALCL, {"series": None}, ["a connector's feature needs series"]),
    (WALCL, {"inputs": [RRP]}, ["a connector's feature takes no inputs"]),
    (WALCL, {"quality/seasonal": True}, ["season (week-of-year or hour-of-week)"]),
    (WALCL, {"source/id": "fed"}, ["field source.id: unknown source 'fed'; allowed: fred, farside"]),
    (WALCL, {"source/class": "cex"}, ["field source.class: 'cex' contradicts datasources.yaml", "'macro'"]),
    (WALCL, {"stream": "vintages"}, ["no stream 'vintages'; allowed: series, observations"]),
    (WALCL, {"source/schema": "walcl"}, ["field source.schema: given 'walcl'", "'fred_observations'"]),
    (WALCL, {"id": RRP}, ["field id: given 2 times"]),
    (WALCL, {"id": "Walcl"}, ["field id", "given: 'Walcl'"]),
    (WALCL, {"series": "SP500"}, ["field streams.observations.series.SP500", "keep one of them"]),
    (WALCL, {"series": "WTREGEN"}, ["fields label, period: differ from", "the same series WTREGEN"]),
    (NET, {"inputs": [WALCL, "macro/us/tga"]}, ["field inputs: there is no feature 'macro/us/tga'"]),
    (NET, {"inputs": [WALCL, NET]}, ["field inputs: a feature is no input of itself"]),
    (NET, {"inputs": [WALCL, VIX]}, ["field unit", "macro/us/vix_index is in index"]),
    (NET, {"unit": "USD millions"}, ["field unit: given USD millions", "macro/us/walcl_total_usd is in USD"]),
    (NET, {"max_age": None}, ["needs max_age"]),
    (NET, {"stream": "observations"}, ["a derived feature takes no stream"]),
    (NET, {"source/class": "macro"}, ["a derived feature's is 'derived'"]),
    (NET, {"writers": ["connector", "publish"]}, ["a derived feature is computed and never published"]),
    (WALCL, {"writers": []}, ["field writers"]),
    (WALCL, {"writers": ["publish"]}, ["writers [publish] alone go with source.id publish"]),
    (WALCL, {"source/id": "publish"}, ["a feature that is only published takes no stream, series, scale, release"]),
    (VIX, PUBLISHED | {"writers": ["connector", "publish"]}, ["source publish has no connector: writers: [publish]"]),
    (VIX, PUBLISHED | {"inputs": [WALCL]}, ["a feature that is only published takes no inputs"]),
    (VIX, PUBLISHED | {"source/schema": "vix"}, ["field source.schema: given 'vix'", "'published_points'"]),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "changes", "said"), MISTAKES)
def test_a_mistake_in_a_feature_is_explained(
    edited: Edit, entry: str, changes: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(CatalogError) as error:
        load_catalog(edited(entry, changes))
    message = str(error.value)
    assert ".yaml: " in message
    for words in said:
        assert words in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slug": "Fred!"}, ["fred: field slug", "given: 'Fred!'"]),
        ({"slug": "farside"}, ["farside: field slug: given 2 times"]),
        ({"schedule": ["hourly"]}, ["fred: field schedule.0", "cron expression of five fields"]),
        ({"reliability": 99}, ["fred: field reliability", "given: 99"]),
        ({"streams/series/history": {"days": 0}}, ["fred: field streams.series.history.days", "given: 0"]),
        ({"streams/series/payloads": {"days": 0}}, ["fred: field streams.series.payloads.days", "given: 0"]),
        ({"streams/series/payloads": "a year"}, ["fred: field streams.series.payloads", "given: 'a year'"]),
        ({"streams/series/payloads": None}, ["fred: field streams.series.payloads"]),
        (
            {"streams/observations/series/SP500/period": None},
            ["streams.observations.series.SP500", "needs a period"],
        ),
        ({"credentials": ["fred key"]}, ["fred: field credentials.0", "given: 'fred key'"]),
    ],
)
def test_a_mistake_in_a_source_is_explained(edited: Edit, changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(CatalogError) as error:
        load_catalog(edited("fred", changes, file="datasources"))
    for words in said:
        assert words in str(error.value)


def test_dollars_and_millions_of_dollars_are_not_joined(edited: Edit) -> None:
    with pytest.raises(CatalogError) as error:
        load_catalog(edited(RRP, {"unit": "USD millions", "scale": {"Billions of US Dollars": 1000}}))
    assert (
        f"features.yaml: {NET}: field unit: given USD; a feature of several inputs shares their unit, "
        f"but {WALCL} is in USD, macro/us/tga_balance_usd is in USD, {RRP} is in USD millions"
    ) in str(error.value)


def test_features_that_are_computed_from_each_other_are_refused(edited: Edit) -> None:
    growth = "crypto/stables/mcap_total_usd_yoy"
    edited(growth, {"inputs": [NET]})
    with pytest.raises(CatalogError, match="field inputs: they lead back to itself, by"):
        load_catalog(edited(NET, {"inputs": [growth]}))


def test_the_ratio_of_two_features_has_inputs_of_one_unit(edited: Edit) -> None:
    assert load_catalog(edited(NET, {"unit": "ratio"})).feature(NET).unit == "ratio"
    with pytest.raises(CatalogError, match="given ratio; a feature of several inputs shares their unit"):
        load_catalog(edited(NET, {"unit": "ratio", "inputs": [WALCL, VIX]}))


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("USD", {"Millions of U.S. Dollars": 1.0e6, "U.S. Dollars": 1, "Thousands of Dollars": 1.0e3}),
        ("USD billions", {"Millions of U.S. Dollars": 0.001}),
        ("USD", {"Percent": 5, "Millions of Barrels": 7}),
        ("index", {"Billions of Dollars": 3}),
    ],
)
def test_a_factor_between_units_of_money_is_theirs_and_any_other_is_free(
    edited: Edit, unit: str, scale: dict[str, float]
) -> None:
    edited(NET, {"inputs": [RRP]})
    spec = load_catalog(edited(WALCL, {"unit": unit, "scale": scale})).feature(WALCL)
    assert spec.scale == {stated: Decimal(str(factor)) for stated, factor in scale.items()}


def test_all_mistakes_are_told_at_once(edited: Edit) -> None:
    edited("fred", {"reliability": 99}, file="datasources")
    edited(WALCL, {"colour": "red", "ttl_ms": 0})
    with pytest.raises(CatalogError, match="has 4 mistakes") as error:
        load_catalog(edited(RRP, {"owner": None}))
    assert "datasources.yaml: fred: field reliability" in str(error.value)
    assert f"features.yaml: {RRP}: field owner: missing" in str(error.value)


def test_an_absent_folder_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="does not exist: FEATURE_STORE_CATALOG_DIR"):
        load_catalog(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("features: [", "features.yaml is not readable as YAML"),
        ("features:\n- id: a\n  id: b\n", "key 'id' is given twice"),
        ("feature: []", "must hold one key, features"),
        ("features: [7]", "entry 1: input should be a valid dictionary"),
    ],
)
def test_a_file_that_is_no_catalog_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "features.yaml").write_text(text)
    with pytest.raises(CatalogError, match=said):
        load_catalog(folder)


def test_a_factor_is_the_decimal_that_was_written(folder: Path) -> None:
    path = folder / "features.yaml"
    path.write_text(path.read_text().replace("scale: 1.0e6", "scale: 0.1000000000000000055"))
    spec = load_catalog(folder).feature("crypto/etf/btc_net_flow_usd")
    assert spec.scale == Decimal("0.1000000000000000055")


def test_a_time_of_day_without_quotes_is_not_a_number(folder: Path) -> None:
    path = folder / "features.yaml"
    path.write_text(path.read_text().replace('"16:30"', "16:30"))
    assert load_catalog(folder).feature(WALCL).wire()["release"]["at"] == "16:30"


def test_an_unknown_feature_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="did you mean macro/us/walcl_total_usd"):
        catalog.feature("macro/us/walcl_usd")


def test_an_unknown_source_or_stream_names_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="there are fred, farside"):
        catalog.source("bloomberg")
    with pytest.raises(CatalogError, match="unknown stream of fred 'x': there are series, observations"):
        catalog.series("fred", "x")


def test_a_source_is_found_by_id_and_by_slug(catalog: Catalog) -> None:
    assert catalog.source("binance-api") is catalog.source("binance")


def test_a_source_without_a_connector_module_is_not_connected(catalog: Catalog) -> None:
    assert catalog.connected("fred")
    newcomer = catalog.source("fred").model_copy(update={"id": "newcomer", "slug": "newcomer"})
    assert not replace(catalog, sources={"newcomer": newcomer}).connected("newcomer")


def test_a_source_serves_its_own_features_and_no_derived_ones(catalog: Catalog) -> None:
    assert [feature.id for feature in catalog.served_by("etherscan")] == ["onchain/eth/gas_price_gwei"]


def test_a_unit_that_is_not_in_the_catalog_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"states the unit 'Thousands of Dollars'.* 'millions of us dollars'"):
        catalog.feature(WALCL).factor("Thousands of Dollars")
    with pytest.raises(CatalogError, match="None"):
        catalog.feature(WALCL).factor(None)


def test_a_plain_factor_takes_any_unit(catalog: Catalog) -> None:
    assert catalog.feature("crypto/etf/btc_net_flow_usd").factor(None) == 1_000_000
    assert catalog.feature(VIX).factor("Index") == 1


def test_a_derived_feature_has_no_release_rule(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="follows its inputs"):
        _ = catalog.feature(NET).rules


def test_units_compare_without_case_dots_and_spaces() -> None:
    assert normal_unit(" Millions of  U.S. Dollars ") == normal_unit("millions of us dollars")


def test_specifications_cannot_be_changed(catalog: Catalog) -> None:
    spec: FeatureSpec = catalog.feature(WALCL)
    with pytest.raises(ValueError, match="frozen"):
        spec.unit = "EUR"  # type: ignore[misc]
    with pytest.raises(TypeError):
        catalog.features["x"] = spec  # type: ignore[index]


def test_a_feature_may_be_published_alone(edited: Edit) -> None:
    feature = load_catalog(edited(VIX, PUBLISHED)).feature(VIX)
    assert (feature.is_publishable, feature.is_connected, feature.is_derived) == (True, False, False)
    with pytest.raises(CatalogError, match="it is published: its publishers say when"):
        _ = feature.rules


@pytest.mark.parametrize("name", ["publish", "published"])
def test_the_stores_own_names_are_no_sources(edited: Edit, name: str) -> None:
    with pytest.raises(CatalogError, match=f"datasources.yaml: farside: field slug: '{name}' is this store's own name"):
        load_catalog(edited("farside", {"slug": name}, "datasources"))
