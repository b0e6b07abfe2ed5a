"""Freshness measures a feature's age against its ttl."""

from datetime import timedelta

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.sync import sync
from feature_store.quality.freshness import check_freshness
from tests.quality import NOW, RRP, TGA, WALCL

_POINT = """
insert into features.latest_values
  (feature_id, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta, evidence,
   version)
values (%s, %s, 1, 1, false, %s, 'vintage', %s, '{}', '[]', 1)
"""


@pytest.fixture
def store(db: psycopg.Connection, catalog: Catalog) -> psycopg.Connection:
    """A store with the catalog and a fresh WALCL; its ttl is ten days."""
    clock.freeze(db, NOW)
    sync(db, catalog)
    db.execute(_POINT, (WALCL, NOW - timedelta(days=6), NOW, NOW))
    db.commit()
    return db


def test_a_feature_within_its_ttl_is_fresh(store: psycopg.Connection, catalog: Catalog) -> None:
    [found] = [row for row in check_freshness(store, catalog, "run") if row["feature_id"] == WALCL]
    assert found["success"] is True
    assert found["ratio"] == pytest.approx(0.6)
    assert found["observed"] == "an age of 6 days, 0:00:00, 0.6 of its ttl"


def test_past_the_allowed_ratio_it_is_not(store: psycopg.Connection, catalog: Catalog) -> None:
    clock.advance(store, timedelta(days=9, seconds=1))
    [found] = [row for row in check_freshness(store, catalog) if row["feature_id"] == WALCL]
    assert found["success"] is False
    assert found["expected"] == "an age of at most 1.5 times its ttl of 10 days, 0:00:00"


def test_a_connected_feature_without_a_point_fails(store: psycopg.Connection, catalog: Catalog) -> None:
    found = {row["feature_id"]: row for row in check_freshness(store, catalog)}
    assert (found[TGA]["success"], found[TGA]["observed"]) == (False, "no point")
    assert RRP in found


def test_what_no_connector_feeds_yet_gets_no_verdict(store: psycopg.Connection, catalog: Catalog) -> None:
    judged = {row["feature_id"] for row in check_freshness(store, catalog)}
    assert judged == {f.id for f in catalog.features.values() if not f.is_derived and catalog.connected(f.source.id)}


def test_results_are_kept_as_history(store: psycopg.Connection, catalog: Catalog) -> None:
    check_freshness(store, catalog, "run-1")
    check_freshness(store, catalog, "run-2")
    query = "select run_id, success, checked_at from quality.results where feature_id = %s and suite = %s order by 1"
    assert store.execute(query, (WALCL, "freshness")).fetchall() == [("run-1", True, NOW), ("run-2", True, NOW)]
