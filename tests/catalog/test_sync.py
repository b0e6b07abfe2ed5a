"""The catalog in the database: every version kept, nothing redefined in silence."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from feature_store.catalog import Catalog, load_catalog, normal_unit
from feature_store.catalog.calendars import CALENDARS, FIRST, HORIZON, sessions
from feature_store.catalog.sync import sync
from feature_store.errors import CatalogError

WALCL = "macro/us/walcl_total_usd"
TGA = "macro/us/tga_balance_usd"
NET = "macro/us/net_liquidity_usd"
BTC_FLOW = "crypto/etf/btc_net_flow_usd"

Edit = Callable[..., Path]
Connection = psycopg.Connection[Any]


@pytest.fixture
def synced(db: Connection, catalog: Catalog) -> Connection:
    sync(db, catalog)
    return db


def rows(db: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    return db.execute(query, values).fetchall()


def test_the_whole_catalog_arrives(db: Connection, catalog: Catalog) -> None:
    counts = sync(db, catalog)
    assert (counts["data_sources"], counts["features_catalog"]) == (8, 25)
    stored = dict(rows(db, "select id, spec from registry.features_catalog where is_current"))
    assert stored == {name: feature.wire() for name, feature in catalog.features.items()}


def test_synchronising_again_changes_nothing(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    assert set(sync(db, catalog).values()) == {0}


def test_two_at_once_do_no_harm(db: Connection, dsn: str, catalog: Catalog) -> None:
    def one() -> None:
        with psycopg.connect(dsn) as conn:
            sync(conn, catalog)

    threads = [Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(db, "select count(*) from registry.features_catalog") == [(25,)]


def test_a_raw_series_is_joined_with_the_factor_of_its_stated_unit(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    found = rows(
        db,
        """select series, field, unit_stated, factor, label, extract(day from period)::int, is_session, grain
           from registry.feature_series where feature_id = %s and is_current order by unit_stated""",
        TGA,
    )
    assert found == [
        ("WTREGEN", "value", "billions of us dollars", 1_000_000_000, "end", 7, False, "daily"),
        ("WTREGEN", "value", "millions of us dollars", 1_000_000, "end", 7, False, "daily"),
    ]


def test_a_series_without_a_stated_unit_takes_any(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    found = rows(
        db,
        "select unit_stated, factor, period, is_session from registry.feature_series where feature_id = %s",
        BTC_FLOW,
    )
    assert found == [(None, 1_000_000, None, True)]


def test_only_connectors_features_have_a_series(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    found = {name for (name,) in rows(db, "select feature_id from registry.feature_series")}
    assert found == {feature.id for feature in catalog.features.values() if not feature.is_derived}


@pytest.mark.parametrize(
    ("entry", "changes", "said"),
    [
        (
            TGA,
            {"scale": 1_000_000},
            "field scale: given 1000000, but version 1 was synchronised with "
            '{"Billions of U.S. Dollars": 1000000000, "Millions of U.S. Dollars": 1000000}',
        ),
        (WALCL, {"release/at": "16:31"}, 'field release: given {"at": "16:31", "days": 1, "roll": "us-federal"'),
        (WALCL, {"unit": "index"}, 'field unit: given "index", but version 1 was synchronised with "USD"'),
        (WALCL, {"label": "end", "period": "P7D"}, 'field label: given "end", but version 1 was synchronised'),
        (
            WALCL,
            {"label": "end", "period": "P7D"},
            'field period: given "P7D", but version 1 was synchronised with nothing',
        ),
        (WALCL, {"series": "WALCL2"}, 'field series: given "WALCL2"'),
        (WALCL, {"field": "level"}, 'field field: given "level"'),
        (WALCL, {"frequency": "1h"}, 'field frequency: given "1h", but version 1 was synchronised with "1d"'),
        (TGA, {"season": "hour-of-week"}, 'field season: given "hour-of-week"'),
        ("crypto/stables/mcap_total_usd_yoy", {"inputs": [BTC_FLOW]}, f'field inputs: given ["{BTC_FLOW}"]'),
    ],
)
def test_a_new_definition_under_an_old_version_is_refused_with_both_values(
    synced: Connection, edited: Edit, entry: str, changes: dict[str, Any], said: str
) -> None:
    # Without this a WALCL in another unit would already be refused as an input of net liquidity.
    edited(NET, {"inputs": [TGA]})
    changed = load_catalog(edited(entry, changes))
    with pytest.raises(CatalogError) as error:
        sync(synced, changed)
    assert f"features.yaml: {entry}: {said}" in str(error.value)
    assert "; raise version to 2, so that published numbers keep their meaning" in str(error.value)


def test_a_higher_version_of_an_input_needs_one_of_what_is_computed_from_it(synced: Connection, edited: Edit) -> None:
    changed = load_catalog(edited(TGA, {"scale": 1_000_000, "version": 2}))
    with pytest.raises(
        CatalogError,
        match=f"{NET}: version 1 is computed from version 1 of {TGA}, which is given version 2 now; raise version to 2",
    ):
        sync(synced, changed)
    sync(synced, load_catalog(edited(NET, {"version": 2})))
    assert rows(
        synced,
        """select version, input_version, is_current from registry.feature_inputs
           where input_id = %s and feature_id = %s order by version""",
        TGA,
        NET,
    ) == [(1, 1, False), (2, 2, True)]


def test_a_new_version_joins_the_old_one(db: Connection, catalog: Catalog, edited: Edit) -> None:
    sync(db, catalog)
    edited(NET, {"version": 2})
    sync(db, load_catalog(edited(TGA, {"scale": 1_000_000, "version": 2})))
    query = "select version, is_current from registry.features_catalog where id = %s order by version"
    assert rows(db, query, TGA) == [(1, False), (2, True)]
    assert rows(db, query, f"{TGA}_sa") == [(1, False), (2, True)]
    assert rows(
        db,
        """select version, unit_stated, factor, is_current from registry.feature_series
           where feature_id = %s order by version, unit_stated""",
        TGA,
    ) == [
        (1, "billions of us dollars", 1_000_000_000, False),
        (1, "millions of us dollars", 1_000_000, False),
        (2, None, 1_000_000, True),
    ]


def test_a_version_never_goes_down(db: Connection, catalog: Catalog, edited: Edit) -> None:
    sync(db, load_catalog(edited(TGA, {"version": 2})))
    with pytest.raises(CatalogError, match="field version: given 1, but version 2 was synchronised before"):
        sync(db, catalog)


def test_a_refused_synchronisation_leaves_no_trace(db: Connection, catalog: Catalog, edited: Edit) -> None:
    sync(db, catalog)
    edited("fred", {"name": "FRED"}, file="datasources")
    with pytest.raises(CatalogError):
        sync(db, load_catalog(edited(WALCL, {"scale": 7})))
    assert rows(db, "select name from registry.data_sources where slug = 'fred'") == [
        ("Federal Reserve Economic Data",)
    ]


def test_words_may_change_under_one_version_and_change_back(db: Connection, catalog: Catalog, edited: Edit) -> None:
    sync(db, catalog)
    reworded = load_catalog(edited(WALCL, {"description": "The balance sheet."}))
    assert sync(db, reworded)["features_catalog"] == 2
    query = "select description, is_current from registry.features_catalog where id = %s order by synced_at"
    assert [is_current for _, is_current in rows(db, query, WALCL)] == [False, True]
    sync(db, catalog)
    assert dict(rows(db, query, WALCL)) == {
        "The balance sheet.": False,
        catalog.feature(WALCL).description: True,
    }


def test_a_feature_that_left_the_catalog_is_kept_but_not_current(
    db: Connection, catalog: Catalog, edited: Edit
) -> None:
    sync(db, catalog)
    sync(db, load_catalog(edited(BTC_FLOW, {"id": "crypto/etf/bitcoin_net_flow_usd"})))
    current = "select is_current from registry.features_catalog where id = %s"
    assert rows(db, current, BTC_FLOW) == [(False,)]
    assert rows(db, current, "crypto/etf/bitcoin_net_flow_usd") == [(True,)]
    series = "select is_current from registry.feature_series where feature_id = %s"
    assert rows(db, series, BTC_FLOW) == [(False,)]


def test_a_changed_source_is_a_new_row(db: Connection, catalog: Catalog, edited: Edit) -> None:
    sync(db, catalog)
    sync(db, load_catalog(edited("fred", {"reliability": 0.5}, file="datasources")))
    found = rows(db, "select (spec ->> 'reliability')::float, is_current from registry.data_sources where id = 'fred'")
    assert set(found) == {(0.99, False), (0.5, True)}


def test_the_time_of_synchronising_is_the_stores_clock(db: Connection, catalog: Catalog) -> None:
    db.execute("update ops.clock set mode = 'frozen', frozen_at = '2024-06-01 12:00+00'")
    sync(db, catalog)
    assert rows(
        db, "select distinct synced_at = '2024-06-01 12:00+00'::timestamptz from registry.features_catalog"
    ) == [(True,)]


def test_every_calendar_is_stored_to_its_horizon(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    found = {
        name: (first, last)
        for name, first, last in rows(
            db, "select calendar, min(date), max(date) from registry.calendar_sessions group by 1"
        )
    }
    assert set(found) == set(CALENDARS)
    for name, (first, last) in found.items():
        expected = sessions(name, FIRST, HORIZON)
        assert (first, last) == (expected[0].date, expected[-1].date)


def test_half_days_close_early_in_the_database_too(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    found = rows(
        db,
        """select to_char(close_at at time zone 'America/New_York', 'HH24:MI') from registry.calendar_sessions
           where calendar = 'nyse' and date between '2026-11-25' and '2026-11-27' order by date""",
    )
    assert found == [("16:00",), ("13:00",)]


def test_a_session_that_a_library_corrects_is_corrected(db: Connection, catalog: Catalog) -> None:
    sync(db, catalog)
    db.execute("insert into registry.calendar_sessions values ('nyse', '2026-12-25', '2026-12-25 21:00+00')")
    db.execute("delete from registry.calendar_sessions where calendar = 'nyse' and date = '2026-12-24'")
    db.execute(
        "update registry.calendar_sessions set close_at = now() where calendar = 'nyse' and date = %s",
        ("2026-12-23",),
    )
    assert sync(db, catalog)["calendar_sessions"] == 0, "the libraries are the same: nothing is computed again"
    db.execute("update registry.calendar_origin set fingerprint = 'an older library'")
    assert sync(db, catalog)["calendar_sessions"] == 3


@pytest.mark.parametrize("stated", ["Millions of U.S. Dollars", "  Billions  of US\tDollars ", "Index Jan 2006=100"])
def test_a_unit_is_normalised_alike_in_sql_and_python(db: Connection, stated: str) -> None:
    assert rows(db, "select registry.normal_unit(%s)", stated) == [(normal_unit(stated),)]


def test_every_table_and_column_of_the_registry_is_commented(db: Connection) -> None:
    uncommented = rows(
        db,
        """select c.relname, a.attname from pg_class c
           join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0 and not a.attisdropped
           where c.relnamespace = 'registry'::regnamespace and c.relkind = 'r'
             and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)""",
    )
    assert uncommented == []
