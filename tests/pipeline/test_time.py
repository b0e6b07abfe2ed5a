"""Time is told truly from FRED's answer to the feature tables."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from feature_store.sources.contract import Window
from feature_store.warehouse.news import has_news

from .store import RRP, TGA, WALCL, Store

# Four Wednesdays. 1.0 → 2.0 → 1.0 on 6 March; 13 March is withdrawn and returns; 20 March stays withdrawn.
# Thursday 28 March 2024 is no holiday; releases are at 16:30 New York (20:30 UTC from 10 March on, 21:30 before).
HISTORY = """ts,value,available_at
2024-03-06,1000000,2024-03-07T21:30:00Z
2024-03-06,2000000,2024-03-14T20:30:00Z
2024-03-06,1000000,2024-03-21T20:30:00Z
2024-03-13,3000000,2024-03-14T20:30:00Z
2024-03-13,,2024-03-21T20:30:00Z
2024-03-13,3500000,2024-03-28T20:30:00Z
2024-03-20,4000000,2024-03-21T20:30:00Z
2024-03-20,,2024-03-28T20:30:00Z
2024-03-27,5000000,2024-03-28T20:30:00Z
"""
VERSIONS = [
    ("2024-03-06", 1e12, "2024-03-07T21:30"),
    ("2024-03-06", 2e12, "2024-03-14T20:30"),
    ("2024-03-06", 1e12, "2024-03-21T20:30"),
    ("2024-03-13", 3e12, "2024-03-14T20:30"),
    ("2024-03-13", None, "2024-03-21T20:30"),
    ("2024-03-13", 3.5e12, "2024-03-28T20:30"),
    ("2024-03-20", 4e12, "2024-03-21T20:30"),
    ("2024-03-20", None, "2024-03-28T20:30"),
    ("2024-03-27", 5e12, "2024-03-28T20:30"),
]


def days(first: str, last: str) -> list[datetime]:
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last))
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def test_living_day_by_day_holds_exactly_the_vintages_that_existed(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    for day in days("2024-03-08", "2024-03-30"):
        store.at(day)
        store.run()
        known = [version for version in VERSIONS if version[2] <= day.isoformat()]
        assert store.versions() == known, f"on {day:%d %B}"
    assert store.values() == {"2024-03-06": 1e12, "2024-03-13": 3.5e12, "2024-03-27": 5e12}


def test_a_fresh_load_ends_where_living_through_it_does(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    for day in days("2024-03-08", "2024-03-30")[::7]:
        store.at(day)
        store.run()
    lived = store.hash()
    store.forget()
    assert store.run() == len(VERSIONS)
    assert store.versions() == VERSIONS
    assert store.hash() == lived


def test_a_correction_off_schedule_is_dated_to_the_end_of_its_day_either_way(store: Store) -> None:
    store.serve(
        "WALCL",
        "ts,value,available_at\n2024-03-06,1,2024-03-07T21:30:00Z\n2024-03-06,2,2024-03-11T15:00:00Z\n",
    )
    for day in days("2024-03-11", "2024-03-13"):
        store.at(day)
        store.run()
    # Monday 11 March in Chicago ends at 05:00 UTC of the 12th.
    assert store.versions() == [
        ("2024-03-06", 1e6, "2024-03-07T21:30"),
        ("2024-03-06", 2e6, "2024-03-12T05:00"),
    ]


def test_running_anything_twice_writes_nothing(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30")
    store.run()
    held, rows = store.hash(), store.count("raw.fred_observations")
    again = store.ingest()
    assert (again.loaded, again.fetched) == (0, again.duplicate)
    assert store.transform() == 0
    assert store.transform("--full-refresh") == 0
    everything = Window(None, datetime(2024, 3, 30, tzinfo=UTC))
    assert store.ingest(window=everything).loaded == 0
    assert (store.hash(), store.count("raw.fred_observations")) == (held, rows)


def test_months_loaded_in_any_order_end_in_the_same_content(store: Store) -> None:
    store.serve("WALCL", HISTORY.replace("2024-03-14T20:30", "2024-04-04T20:30"))
    store.at("2024-05-01")
    months = [Window(datetime(2024, m, 1, tzinfo=UTC), datetime(2024, m + 1, 1, tzinfo=UTC)) for m in (4, 3)]
    for month in months:
        store.ingest(window=month)
        store.transform()
    held = store.values()
    store.conn.execute("truncate raw.fred_observations")
    store.conn.commit()
    store.ingest()
    assert store.transform() == 0
    assert store.values() == held


def test_tga_is_in_dollars_for_every_vintage(store: Store) -> None:
    store.serve(
        "WTREGEN",
        "ts,value,available_at,unit\n"
        "2024-05-29,693.93,2024-05-30T20:30:00Z,Billions of U.S. Dollars\n"
        "2024-05-29,693934,2025-10-02T20:30:00Z,Millions of U.S. Dollars\n"
        "2025-10-01,800123,2025-10-02T20:30:00Z,Millions of U.S. Dollars\n",
    )
    store.at("2025-11-01")
    store.run()
    assert store.as_of("2024-06-01", TGA) == {"2024-05-29": 693.93e9}
    assert store.values(TGA) == {"2024-05-29": 693_934e6, "2025-10-01": 800_123e6}


def test_a_series_of_ts_and_value_alone_is_available_when_its_release_rule_says(store: Store) -> None:
    store.serve("WALCL", "ts,value\n2026-11-18,6640219\n2026-11-25,6650000\n")
    store.serve("RRPONTSYD", "ts,value\n2026-11-20,4.674\n")
    store.at("2026-11-28")
    store.run()
    # Thanksgiving moves the release to Friday.
    assert store.versions(WALCL) == [
        ("2026-11-18", 6640219e6, "2026-11-19T21:30"),
        ("2026-11-25", 6650000e6, "2026-11-27T21:30"),
    ]
    assert store.versions(RRP) == [("2026-11-20", 4.674e9, "2026-11-20T22:45")]


def test_the_first_vintage_of_an_archive_is_backfilled(store: Store) -> None:
    store.serve(
        "WALCL",
        "ts,value,available_at\n2024-02-28,1,2024-03-14T20:30:00Z\n2024-03-13,3,2024-03-14T20:30:00Z\n",
    )
    store.at("2024-03-20")
    store.run()
    rows = store.conn.execute(
        "select ts::date::text, available_basis, available_at::text from features.features_versions order by ts"
    ).fetchall()
    assert rows == [
        ("2024-02-28", "backfilled", "2024-02-29 21:30:00+00"),
        ("2024-03-13", "vintage", "2024-03-14 20:30:00+00"),
    ]


def test_not_known_over_nothing_is_no_version_and_never_zero(store: Store) -> None:
    store.serve(
        "WALCL",
        "ts,value,available_at\n2024-03-06,,2024-03-07T21:30:00Z\n2024-03-13,7,2024-03-14T20:30:00Z\n",
    )
    store.at("2024-03-20")
    store.run()
    assert store.versions() == [("2024-03-13", 7e6, "2024-03-14T20:30")]


@pytest.mark.parametrize("series", ["WALCL", "RRPONTSYD"])
def test_more_vintages_than_a_call_may_ask_for_arrive_whole(store: Store, series: str) -> None:
    first = datetime(2016, 1, 6, tzinfo=UTC)
    rows = [(first + timedelta(days=7 * n), n + 1) for n in range(400)]
    revised = [(ts, value + 5000, ts + timedelta(days=30, hours=23)) for ts, value in rows]
    again = [(ts, value + 9000, ts + timedelta(days=60, hours=23)) for ts, value in rows]
    lines = [f"{ts:%Y-%m-%d},{value},{ts + timedelta(days=1, hours=23):%Y-%m-%dT%H:%M:%SZ}" for ts, value in rows]
    lines += [f"{ts:%Y-%m-%d},{value},{at:%Y-%m-%dT%H:%M:%SZ}" for ts, value, at in revised + again]
    store.serve(series, "ts,value,available_at\n" + "\n".join(lines) + "\n")
    store.at("2024-03-20")
    counts = store.ingest(series)
    assert counts.loaded == 1200
    calls = store.conn.execute("select count(*) from raw.fetches where endpoint = 'series/observations'").fetchone()
    assert calls == (2,)


def test_a_changed_catalog_mapping_derives_old_rows_again(store: Store) -> None:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30")
    store.run()
    store.conn.execute("update registry.feature_series set version = 2 where feature_id = %s", (WALCL,))
    store.conn.commit()
    assert store.transform() == len(VERSIONS)


def test_rows_committed_in_the_wrong_order_are_not_missed(store: Store, dsn: str) -> None:
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30")
    store.ingest()
    with psycopg.connect(dsn) as slow:
        slow.execute("select pg_current_xact_id()")  # an older transaction, still open
        slow.execute("update raw.fred_observations set xid = pg_current_xact_id() where ts = '2024-03-27'")
        store.transform()
        slow.commit()
    store.transform()
    assert store.versions() == VERSIONS


def test_unread_rows_are_news_until_a_transform_is_done(store: Store) -> None:
    fred = store.catalog.source("fred")
    store.serve("WALCL", HISTORY)
    store.at("2024-03-30")
    store.transform()
    assert not has_news(store.conn, fred)
    store.ingest()
    assert has_news(store.conn, fred)
    store.transform()
    assert not has_news(store.conn, fred)
