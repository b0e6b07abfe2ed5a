"""The daily panel: each day as it was known at its end, and as this store held it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_store.pipeline.transform import transform
from feature_store.warehouse import panel

from .store import RRP, WALCL, Store
from .test_transform import candle

NET = "macro/us/net_liquidity_usd"
HISTORY = """ts,value,available_at
2024-03-06,1000000,2024-03-07T21:30:00Z
2024-03-06,2000000,2024-03-14T20:30:00Z
2024-03-13,3000000,2024-03-14T20:30:00Z
2024-03-13,,2024-03-21T20:30:00Z
2024-03-20,4000000,2024-03-21T20:30:00Z
2024-03-20,4500000,2024-03-28T20:30:00Z
"""


@pytest.fixture
def store(store: Store) -> Store:
    """A store whose transform goes on to derived features and the panel."""
    store.derives = True
    return store


def cells(store: Store, feature: str = WALCL, relation: str = "features.daily_panel") -> dict[str, tuple[Any, ...]]:
    """(value, whole days of age, whether it is stale) by day."""
    name = panel.column(feature)
    rows = store.conn.execute(
        f"select day::text, {name}, extract(day from {name}_age)::int, {name}_is_stale from {relation} order by day"
    )
    return {day: cell for day, *cell in rows}


def test_a_day_shows_what_was_known_at_its_end(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30T00:02")
    store.run()
    shown = cells(store)
    assert (min(shown), max(shown)) == ("2024-03-07", "2024-03-29")
    # Wednesday's level comes on Thursday, and its revision two weeks later changes no day before.
    assert shown["2024-03-12"] == [1e12, 7, False]
    assert shown["2024-03-13"] == [1e12, 8, False]
    assert shown["2024-03-14"] == [3e12, 2, False]
    assert shown["2024-03-27"] == [4e12, 8, False]
    assert shown["2024-03-28"] == [4.5e12, 9, False]


def test_a_withdrawn_point_lets_the_one_before_count(store: Store) -> None:
    store.serve("WALCL", HISTORY.split("2024-03-20,4000000", maxsplit=1)[0])
    store.at("2024-03-24T00:02")
    store.run()
    shown = cells(store)
    assert shown["2024-03-20"] == [3e12, 8, False]
    assert shown["2024-03-21"] == [2e12, 16, True], "older than its ttl of ten days"


def test_living_through_the_days_ends_in_the_panel_of_a_fresh_load(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    for day in (8, 14, 15, 21, 22, 29, 30):
        store.at(f"2024-03-{day:02}T12:00")
        store.run()
    lived = cells(store)
    assert store.count("features.daily_cells") == len(lived), "each cell was made once"
    store.forget()
    store.run()
    assert cells(store) == lived
    assert store.transform("--full-refresh") == 0
    assert store.count("features.daily_cells") == len(lived)


def test_every_cell_is_the_newest_point_as_of_the_end_of_its_day(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    store.serve(
        "RRPONTSYD",
        "ts,value,available_at\n2024-03-14,5,2024-03-14T21:45:00Z\n2024-03-15,6,2024-03-15T21:45:00Z\n"
        "2024-03-15,,2024-03-18T21:45:00Z\n2024-03-19,7,2024-03-19T21:45:00Z\n",
    )
    store.at("2024-03-30T00:02")
    store.run()
    for feature in (WALCL, RRP):
        for day, (value, *_) in cells(store, feature).items():
            end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1, minutes=1)
            known = store.as_of(end.isoformat(), feature)
            assert value == (known[max(known)] if known else None), (feature, day)


def test_a_late_load_changes_the_days_it_was_known_on_and_the_store_remembers(store: Store) -> None:
    store.serve(
        "WALCL", HISTORY.replace("2024-03-13,3000000,2024-03-14T20:30:00Z\n2024-03-13,,2024-03-21T20:30:00Z\n", "")
    )
    store.at("2024-03-19T00:02")
    store.run()
    before = cells(store)
    assert before["2024-03-16"] == [2e12, 11, True]
    store.at("2024-03-19T12:00")
    store.serve("WALCL", HISTORY)
    store.conn.execute("truncate ops.stream_progress")
    store.run()
    assert cells(store)["2024-03-16"] == [3e12, 4, False]
    assert cells(store)["2024-03-13"] == before["2024-03-13"]
    assert cells(store, relation="features.daily_panel_as_stored('2024-03-19T06:00Z')") == before


def test_a_store_that_is_older_than_its_panel_shows_the_days_before_too(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30T00:02")
    store.run()
    shown = cells(store)
    store.conn.execute("truncate features.daily_cells, ops.changed_days")
    store.conn.commit()
    transform(store.conn, store.catalog, store.settings, "run")
    assert cells(store) == shown


def test_a_feature_of_minutes_gives_its_last_of_the_day(store: Store) -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    store.at(midnight + timedelta(minutes=5))
    for minutes, close in ((-2, 91_000), (-1, 91_500), (0, 92_000)):
        candle(store, close, ts=midnight + timedelta(minutes=minutes), fetched_at=midnight)
    transform(store.conn, store.catalog, store.settings, "run")
    assert cells(store, "crypto/btc/price_usd") == {"2026-11-20": [91_500, 0, False]}
    store.at(midnight + timedelta(days=1, seconds=59))
    assert transform(store.conn, store.catalog, store.settings, "early").appended == 0
    assert len(cells(store)) == 1, "the day ends a minute after midnight"
    store.at(midnight + timedelta(days=1, seconds=61))
    transform(store.conn, store.catalog, store.settings, "run")
    assert cells(store, "crypto/btc/price_usd")["2026-11-21"] == [92_000, 1, True]


def test_the_columns_are_the_catalogs(store: Store) -> None:
    assert panel.drifted(store.catalog) == [], "run `feature-store catalog dbt --write` and commit what changes"
    found = store.conn.execute("select * from features.daily_panel limit 0").description
    assert found is not None
    names = [column.name for column in found]
    assert names == [
        "day",
        *(f"{panel.column(f)}{end}" for f in store.catalog.features for end in ("", "_age", "_is_stale")),
    ]


def test_a_project_that_has_drifted_is_written_once(store: Store, tmp_path: Any) -> None:
    for path in panel.render(store.catalog):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    assert len(panel.write(store.catalog, tmp_path)) == 2
    assert panel.write(store.catalog, tmp_path) == []


@pytest.mark.parametrize("where", ["day = '2024-03-20'", "day > '2024-03-25'"])
def test_a_few_days_are_read_by_index(store: Store, where: str) -> None:
    store.conn.execute(
        """insert into features.daily_cells (day, feature_id, version, value, ingested_at)
           select date '2004-01-01' + n, f, 1, n, ops.now()
           from generate_series(1, 7500) as n, unnest(array[%s, %s]) as f""",
        (WALCL, NET),
    )
    store.conn.execute("analyze features.daily_cells")
    plan = "\n".join(
        row
        for (row,) in store.conn.execute(
            f"explain select macro_us_walcl_total_usd from features.daily_panel where {where}"
        )
    )
    assert "Seq Scan on daily_cells" not in plan
    assert plan.count("max(") == 0 or "net_liquidity" not in plan, "columns that are not asked for cost nothing"
