"""Derived features: the worked example, what late inputs do, and year on year."""

import shutil
from pathlib import Path

import psycopg
import pytest

from feature_store.archive import commit_history, set_up
from feature_store.catalog.contracts import Quality, SourceRef
from feature_store.catalog.sync import sync
from feature_store.pipeline.transform import transform
from feature_store.warehouse import panel
from feature_store.warehouse.dbt import PROJECT
from tests.archive.store import Server

from .store import RRP, TGA, WALCL, Store, open_store, shipped, with_features

NET = "macro/us/net_liquidity_usd"

# Two weeks of 2024. Releases: the repos at 17:45 in New York of their day, H.4.1 on Thursdays at 16:30.
# New York is five hours behind UTC until 10 March, four after it.
ASSETS = "ts,value\n2024-03-13,7500000\n2024-03-20,7480000\n"
TREASURY = "ts,value,unit\n2024-03-13,760000,Millions of U.S. Dollars\n2024-03-20,800000,Millions of U.S. Dollars\n"
REPOS = "ts,value\n2024-03-13,520\n2024-03-14,510\n2024-03-19,480\n2024-03-20,450\n2024-03-21,440\n"


@pytest.fixture
def store(store: Store) -> Store:
    """A store whose transform goes on to derived features and the panel."""
    store.derives = True
    return store


@pytest.fixture
def fortnight(store: Store) -> Store:
    store.serve("WALCL", ASSETS)
    store.serve("WTREGEN", TREASURY)
    store.serve("RRPONTSYD", REPOS)
    return store


def test_wednesday_has_a_version_on_wednesday_and_one_on_thursday(fortnight: Store) -> None:
    fortnight.at("2024-03-22")
    fortnight.run()
    wednesday = [version for version in fortnight.versions(NET) if version[0] == "2024-03-20"]
    assert wednesday == [
        # Repos of Wednesday, with the week before of the other two: 7500 - 760 - 450 billion.
        ("2024-03-20", 6290e9, "2024-03-20T21:45"),
        # The new week: 7480 - 800 - 450.
        ("2024-03-20", 6230e9, "2024-03-21T20:30"),
    ]
    # Thursday's repos come after H.4.1: one version.
    assert [v for v in fortnight.versions(NET) if v[0] == "2024-03-21"] == [("2024-03-21", 6240e9, "2024-03-21T21:45")]


def test_a_version_names_its_inputs_and_their_keys(fortnight: Store) -> None:
    fortnight.at("2024-03-21")
    fortnight.run()
    meta, evidence, basis, confidence = fortnight.row(
        """select meta, evidence, available_basis, confidence from features.features_versions
           where feature_id = %s and ts = '2024-03-20'""",
        NET,
    )
    assert meta == {"inputs": sorted([WALCL, TGA, RRP])}
    assert evidence == [
        {
            "feature": WALCL,
            "version": 1,
            "ts": "2024-03-13T00:00:00+00:00",
            "available_at": "2024-03-14T20:30:00+00:00",
        },
        {"feature": TGA, "version": 1, "ts": "2024-03-13T00:00:00+00:00", "available_at": "2024-03-14T20:30:00+00:00"},
        {"feature": RRP, "version": 1, "ts": "2024-03-20T00:00:00+00:00", "available_at": "2024-03-20T21:45:00+00:00"},
    ]
    assert (basis, confidence) == ("vintage", 0.99)


def test_an_input_older_than_max_age_gives_no_version(store: Store) -> None:
    store.serve("WALCL", "ts,value\n2024-03-06,7500000\n")
    store.serve("WTREGEN", "ts,value,unit\n2024-03-06,760000,Millions of U.S. Dollars\n")
    store.serve("RRPONTSYD", "ts,value\n2024-03-15,500\n2024-03-18,490\n")
    store.at("2024-03-22")
    store.run()
    # H.4.1 of 6 March is nine days old on the 15th, twelve on the 18th.
    assert [ts for ts, *_ in store.versions(NET)] == ["2024-03-15"]


def test_a_late_input_corrects_the_versions_it_should_have_been_in(fortnight: Store) -> None:
    fortnight.at("2024-03-22")
    fortnight.ingest("WALCL", "RRPONTSYD")
    fortnight.transform()
    assert fortnight.versions(NET) == []
    fortnight.ingest("WTREGEN")
    fortnight.transform()
    told = fortnight.versions(NET)
    held = fortnight.hash()
    fortnight.forget()
    fortnight.run()
    assert fortnight.versions(NET) == told
    assert fortnight.hash() == held

    fortnight.serve("RRPONTSYD", REPOS.replace("2024-03-20,450", "2024-03-20,451"))
    fortnight.conn.execute("update raw.fred_observations set value = 451, reading = 1, xid = default where value = 450")
    fortnight.conn.commit()
    assert fortnight.transform() == 3, "the input, and both versions of the Wednesday"
    wednesday = [(value, at) for ts, value, at in fortnight.versions(NET) if ts == "2024-03-20"]
    assert wednesday == [
        (6290e9, "2024-03-20T21:45"),
        (6289e9, "2024-03-20T21:45"),
        (6230e9, "2024-03-21T20:30"),
        (6229e9, "2024-03-21T20:30"),
    ]


def test_an_input_that_comes_late_makes_untrue_versions_true_again(store: Store) -> None:
    """Known at first without the repos of the 14th, so the revision of those of the 13th counted at the 14th."""
    store.serve("WALCL", "ts,value\n2024-03-13,7500000\n2024-03-14,7600000\n")
    store.serve("WTREGEN", "ts,value,unit\n2024-03-13,760000,Millions of U.S. Dollars\n")
    revised = "ts,value,available_at\n2024-03-13,520,2024-03-13T21:45:00Z\n2024-03-13,530,2024-03-18T21:45:00Z\n"
    store.serve("RRPONTSYD", revised)
    store.at("2024-03-22")
    store.run()
    assert [v for v in store.versions(NET) if v[0] == "2024-03-14"] == [
        ("2024-03-14", 6320e9, "2024-03-16T05:00"),  # off schedule: the end of the 15th in St. Louis
        ("2024-03-14", 6310e9, "2024-03-18T21:45"),
    ]
    store.serve("RRPONTSYD", revised + "2024-03-14,510,2024-03-14T21:45:00Z\n")
    store.conn.execute("truncate ops.stream_progress")
    store.run()
    assert store.values(NET)["2024-03-14"] == 6330e9
    assert store.as_of("2024-03-19", NET)["2024-03-14"] == 6330e9


def test_a_withdrawn_input_lets_the_one_before_count_and_withdraws_what_has_none(store: Store) -> None:
    store.serve("WALCL", "ts,value\n2024-03-13,7500000\n")
    store.serve("WTREGEN", "ts,value,unit\n2024-03-13,760000,Millions of U.S. Dollars\n")
    store.serve(
        "RRPONTSYD",
        "ts,value,available_at\n2024-03-13,520,2024-03-13T21:45:00Z\n2024-03-14,510,2024-03-14T21:45:00Z\n"
        "2024-03-14,,2024-03-15T21:45:00Z\n2024-03-13,,2024-03-18T21:45:00Z\n",
    )
    store.at("2024-03-22")
    store.run()
    assert store.versions(NET) == [
        ("2024-03-13", 6220e9, "2024-03-14T20:30"),
        ("2024-03-13", None, "2024-03-18T21:45"),
        # The 14th has no input of its own any more.
        ("2024-03-14", 6230e9, "2024-03-14T21:45"),
        ("2024-03-14", None, "2024-03-15T21:45"),
    ]


def test_a_full_refresh_derives_everything_again_and_ends_at_the_same_hash(fortnight: Store) -> None:
    for day in ("2024-03-15", "2024-03-20", "2024-03-21", "2024-03-22"):
        fortnight.at(day)
        fortnight.run()
    held, rows = fortnight.hash(), fortnight.count("features.features_versions")
    assert fortnight.transform("--full-refresh") == 0
    assert (fortnight.hash(), fortnight.count("features.features_versions")) == (held, rows)
    fortnight.forget()
    fortnight.run()
    assert fortnight.hash() == held, "a store that never lived through it ends in the same state"


def test_versions_committed_in_the_wrong_order_are_not_missed(fortnight: Store, dsn: str) -> None:
    fortnight.at("2024-03-22")
    fortnight.transform()  # the feature is not new any more
    fortnight.ingest("WALCL", "WTREGEN", "RRPONTSYD")
    with psycopg.connect(dsn) as slow:
        slow.execute("select pg_current_xact_id()")  # older than what the transform publishes, and open
        fortnight.transform()
        assert fortnight.versions(WALCL)
        assert fortnight.versions(NET) == [], "hidden behind the older transaction"
        slow.commit()
    fortnight.transform()
    assert len(fortnight.versions(NET)) > 0


def test_a_derived_feature_that_is_new_is_derived_from_all_its_inputs_history(fortnight: Store) -> None:
    fortnight.at("2024-03-22")
    fortnight.conn.execute("update registry.feature_inputs set is_current = false where feature_id = %s", (NET,))
    fortnight.run()
    assert fortnight.versions(NET) == []
    sync(fortnight.conn, fortnight.catalog)
    fortnight.conn.commit()
    fortnight.transform()
    assert next(ts for ts, *_ in fortnight.versions(NET)) == "2024-03-13"


def test_what_nobody_reads_any_more_is_swept(fortnight: Store, s3: Server) -> None:
    fortnight.settings = fortnight.settings.model_copy(update={"home": s3.s3.home, "port_s3": s3.s3.port})
    set_up(fortnight.settings)
    fortnight.at("2024-03-22")
    fortnight.ingest()
    transform(fortnight.conn, fortnight.catalog, fortnight.settings, "run")
    assert fortnight.versions(NET)
    transform(fortnight.conn, fortnight.catalog, fortnight.settings, "run 2")
    assert fortnight.count("ops.changed_days"), "the history has yet to read them"
    commit_history(fortnight.conn, fortnight.settings)
    transform(fortnight.conn, fortnight.catalog, fortnight.settings, "run 3")
    assert fortnight.count("ops.changed_days") == 0


def test_the_next_derived_feature_is_a_file_and_an_entry(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = (
        shipped()
        .feature(NET)
        .model_copy(
            update={
                "id": "macro/us/assets_to_repos_ratio",
                "source": SourceRef.model_validate(
                    {"id": "feature-store", "class": "derived", "schema": "derived_ratio"}
                ),
                "inputs": (WALCL, RRP),
                "unit": "ratio",
                "quality": Quality(expected_range=(0, 1000), seasonal=False),
            }
        )
    )
    catalog = with_features([*shipped().features.values(), share])
    copy = shutil.copytree(PROJECT, tmp_path / "dbt_project")
    (copy / "models" / "derived" / "derived_ratio.sql").write_text(
        """with inputs as ({{ inputs_as_of('derived_ratio', ['part', 'whole']) }}),
        ratio as (select *, part / nullif(whole, 0) as value from inputs)
        {{ versions_from('ratio') }}"""
    )
    panel.write(catalog, copy)
    monkeypatch.setattr("feature_store.pipeline.models.PROJECT", copy)
    monkeypatch.setattr("feature_store.warehouse.dbt.PROJECT", copy)
    with open_store(dsn, tmp_path, catalog) as store:
        store.serve("WALCL", ASSETS)
        store.serve("RRPONTSYD", REPOS)
        store.at("2024-03-22")
        store.ingest()
        transform(store.conn, catalog, store.settings, "run")
        assert store.values(share.id)["2024-03-20"] == 7480 / 450
        shown = store.row("select macro_us_assets_to_repos_ratio from features.daily_panel where day = '2024-03-20'")
        assert shown == (7500 / 450,)
