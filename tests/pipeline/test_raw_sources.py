"""Raw rows of the streams without vintages become points: whole days alone, and sums that say who is in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from feature_store.pipeline.transform import transform

from .store import Store

FLOWS, DEPTH = "crypto/etf/btc_net_flow_usd", "cex/agg/spot_depth_2pct_usd"
DAY = datetime(2026, 11, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def put(store: Store, table: str, fetch: int, **given: Any) -> None:
    """Add a row to a raw table."""
    row = {"fetch_id": fetch, "fetched_at": NOW, "available_at": NOW - timedelta(hours=9 - fetch),
           "available_basis": "ingested"} | given  # fmt: skip
    statement = f"insert into raw.{table} ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})"
    store.conn.execute(statement.encode(), list(row.values()))
    store.conn.commit()


def run(store: Store) -> int:
    return transform(store.conn, store.catalog, store.settings, "run").appended


def versions(store: Store, feature: str) -> list[tuple[Any, ...]]:
    return store.conn.execute(
        """select value, round(confidence::numeric, 4)::float, meta from features.features_versions
           where feature_id = %s order by ts, available_at""",
        (feature,),
    ).fetchall()


def test_a_day_of_flows_is_told_whole_and_withdrawn_when_it_is_not_known_any_more(store: Store) -> None:
    store.at(NOW)
    put(store, "farside_btc", 1, series="Total", ts=DAY, value=38.8, funds=Jsonb({"FBTC": None}), is_partial=True)
    assert run(store) == 0, "a fund is pending"
    put(store, "farside_btc", 2, series="Total", ts=DAY, value=60.3, funds=Jsonb({"FBTC": 21.5}), is_partial=False)
    assert run(store) == 1
    put(store, "farside_btc", 3, series="Total", ts=DAY, value=None, funds=Jsonb({"FBTC": None}), is_partial=False)
    assert run(store) == 1
    assert versions(store, FLOWS) == [(60_300_000, 0.95, {}), (None, 0.95, {})]


def test_a_sum_over_venues_names_who_is_missing_and_is_trusted_less(store: Store) -> None:
    store.at(NOW)
    every = {"binance": {"mid": 91000, "is_truncated": False}, "okx": {"mid": 91010, "is_truncated": True}}
    some = every | {"okx": {"missing": "no answer within 8 seconds"}}
    put(store, "cex_books", 1, series="BTC", ts=NOW - timedelta(minutes=10), depth_2pct_usd=40_000_000,
        venues=Jsonb(every), answered=2, asked=2, is_truncated=True)  # fmt: skip
    put(store, "cex_books", 2, series="BTC", ts=NOW - timedelta(minutes=5), depth_2pct_usd=25_000_000,
        venues=Jsonb(some), answered=1, asked=2, is_truncated=False)  # fmt: skip
    assert run(store) == 2
    assert versions(store, DEPTH) == [
        (40_000_000, 0.99, {"venues": ["binance", "okx"], "truncated": ["okx"]}),
        (
            25_000_000,
            0.495,
            {
                "venues": ["binance"],
                "missing": {"okx": "no answer within 8 seconds"},
                "confidence": {"source": 0.99, "venues": 0.5},
            },
        ),
    ]
