"""The periodic checks of features, source by source."""

from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.sync import sync
from feature_store.errors import QualityError
from feature_store.quality.checks import Checked, check_features
from feature_store.quality.periodic import OWN, SourceChecked, check_source, require_sound, sources_checked
from feature_store.quality.results import RuleResult
from feature_store.settings import Settings
from tests.quality import NOW, RRP, TGA, WALCL

_POINT = """
with point as (
  insert into features.latest_values
    (feature_id, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta, evidence,
     version)
  values (%(feature)s, %(ts)s, %(value)s, 1, false, %(ts)s, 'vintage', %(ts)s, %(meta)s, '[]', 1)
  on conflict (feature_id) do update set ts = excluded.ts, value = excluded.value, meta = excluded.meta
  returning *
)
insert into features.features_values
  (feature_id, grain, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta,
   evidence, version)
select feature_id, 'daily', ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta,
  evidence, version
from point
"""
WEEKS = [NOW - timedelta(days=7, weeks=n) for n in reversed(range(12))]


def put(conn: psycopg.Connection, feature: str, ts: datetime, value: float = 1, meta: str = "{}") -> None:
    conn.execute("select features.ensure_partitions('daily', %s, %s)", (ts, ts))
    conn.execute(_POINT, {"feature": feature, "ts": ts, "value": value, "meta": meta})
    conn.commit()


@pytest.fixture
def settings(dsn: str, home: Path) -> Settings:
    return Settings(FEATURE_STORE_POSTGRES_DSN=dsn, FEATURE_STORE_HOME=home)


@pytest.fixture
def store(db: psycopg.Connection, catalog: Catalog) -> psycopg.Connection:
    """A store with the catalog and twelve weeks of WALCL; its ttl is ten days."""
    clock.freeze(db, NOW)
    sync(db, catalog)
    for n, week in enumerate(WEEKS):
        put(db, WALCL, week.replace(hour=0), 7e12 + n * 1e9)
    return db


def checked(conn: psycopg.Connection, settings: Settings, catalog: Catalog, feature: str) -> Checked:
    [found] = check_features(conn, settings, catalog, [catalog.feature(feature)])
    return found


def of_rule(found: Checked, rule: str) -> RuleResult:
    [result] = [result for result in found.results if result.rule == rule]
    return result


def test_a_sound_feature_breaks_no_rule(store: psycopg.Connection, settings: Settings, catalog: Catalog) -> None:
    found = checked(store, settings, catalog, WALCL)
    assert (found.verdict, found.failures) == ("ok", ())
    assert {result.rule for result in found.results} == {
        "schema", "sign", "unit", "jump", "expected_range", "flat_line", "duplicate", "freshness", "coverage", "gap",
        "outlier",
    }  # fmt: skip
    assert found.values == tuple(7e12 + n * 1e9 for n in range(12))


def test_past_the_allowed_ratio_of_its_ttl_it_is_not_fresh(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    clock.advance(store, timedelta(days=9))
    found = checked(store, settings, catalog, WALCL)
    assert (found.verdict, found.failures[0].rule) == ("block", "freshness")
    assert found.failures[0].expected == "an age of at most 1.5 times its ttl of 10 days, 0:00:00"


def test_a_connected_feature_without_a_point_fails(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    found = checked(store, settings, catalog, TGA)
    assert [(result.rule, result.observed) for result in found.failures] == [
        ("freshness", "no point"),
        ("coverage", "no point"),
    ]


def test_what_is_computed_gets_no_verdict_before_its_first_point(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    found = check_features(store, settings, catalog, list(catalog.features.values()))
    assert {each.feature.id for each in found} == {f.id for f in catalog.features.values() if f.is_connected}


def test_a_copy_of_the_value_before_is_a_flat_line_from_the_third_on(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    for n in (1, 2):
        put(store, WALCL, WEEKS[-1].replace(hour=0) + timedelta(hours=n), 7e12 + 11e9)
    result = of_rule(checked(store, settings, catalog, WALCL), "flat_line")
    assert (result.success, result.observed) == (False, "the same value, 7.011e+12, 3 times in a row")


def test_a_missing_venue_is_named_with_its_reason(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    depth = "cex/agg/spot_depth_2pct_usd"
    put(store, depth, NOW, 1e8, '{"venues": ["okx", "kraken"], "missing": {"bybit": "timed out"}}')
    result = of_rule(checked(store, settings, catalog, depth), "venues")
    assert (result.success, result.severity) == (False, "warn")
    assert result.observed == "2 of 3 venues; bybit is missing: timed out"


def test_snapshots_are_counted_from_when_their_live_tail_runs(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    depth = "cex/agg/spot_depth_2pct_usd"
    fetch = """insert into raw.fetches (source, stream, endpoint, url, fetched_at, run_id)
               values ('cex', 'books', '', '', %s, %s)"""
    for hours in (3, 2, 1):
        put(store, depth, NOW - timedelta(hours=hours), 1e8 + hours)
        store.execute(fetch, (NOW - timedelta(hours=hours), "walk"))
    walked = of_rule(checked(store, settings, catalog, depth), "coverage")
    assert (walked.success, walked.checked) == (True, 0)
    for minutes in (11, 6, 1):
        put(store, depth, NOW - timedelta(minutes=minutes), 1e8 + minutes)
        store.execute(fetch, (NOW - timedelta(minutes=minutes), "scheduled"))
    live = of_rule(checked(store, settings, catalog, depth), "coverage")
    assert (live.success, live.checked, live.failed) == (True, 3, 0)


def test_two_sources_that_disagree_are_told_of_the_first_ones_feature(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    spx = "macro/us/spx_index"
    put(store, spx, NOW - timedelta(hours=20), 4700)
    store.execute(
        """insert into quality.reconciliation (run_id, checked_at, quantity, ts, left_source, left_stream, left_series,
             left_value, right_source, right_stream, right_series, right_value, tolerance, agrees, reason)
           values ('run', %(now)s, 'S&P 500, close of the session', %(now)s, 'tradingview', 'history', 'SP:SPX', 4700,
             'fred', 'observations', 'SP500', 4800, 0.001, false, 'why')""",
        {"now": NOW},
    )
    result = of_rule(checked(store, settings, catalog, spx), "agreement")
    assert not result.success
    assert result.observed == f"fred (SP500) says 4800 of {NOW.isoformat()}, tradingview 4700"


def test_an_answer_that_could_not_be_read_is_told_until_the_next_one_can(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    fetch = """insert into raw.fetches (source, stream, series, endpoint, url, fetched_at, outcome, rows_fetched,
                 rows_rejected, rows_loaded)
               values ('fred', 'observations', 'WALCL', 'e', 'u', %s, %s, 1, %s, %s) returning fetch_id"""
    row = store.execute(fetch, (NOW, "rejected", 1, 0)).fetchone()
    assert row is not None
    reject = (
        "insert into raw.rejects (source, stream, fetch_id, rule, reason) values ('fred', 'observations', %s, %s, %s)"
    )
    store.execute(reject, (row[0], "unreadable_answer", "no field 'value'"))
    store.commit()
    found = checked(store, settings, catalog, WALCL)
    assert (found.failures[0].rule, found.failures[0].observed) == ("schema", "no field 'value'")
    store.execute(fetch, (NOW + timedelta(seconds=1), "loaded", 0, 1))
    store.commit()
    assert of_rule(checked(store, settings, catalog, WALCL), "schema").success


def test_every_feature_is_checked_with_one_source(catalog: Catalog) -> None:
    assert sources_checked(catalog) == [*(source.slug for source in catalog.connected_sources), OWN]


def test_a_check_of_a_source_is_kept_as_history_and_opens_one_incident_a_feature(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    for run in ("run-1", "run-2"):
        found = check_source(store, settings, catalog, "fred", run, docs="never")
    assert [(subject, result.rule) for subject, result in found.failures] == [(TGA, "freshness"), (RRP, "freshness")]
    assert found.tables == (), "raw tables without rows are left out"
    history = "select run_id, success from quality.results where feature_id = %s and rule = 'coverage' order by 1"
    assert store.execute(history, (TGA,)).fetchall() == [("run-1", False), ("run-2", False)]
    incidents = "select feature_id, rule, severity from quality.incidents order by 1"
    assert store.execute(incidents).fetchall() == [(RRP, "freshness", "block"), (TGA, "freshness", "block")]
    assert store.execute("select distinct docs from quality.incidents").fetchall() == [(settings.data_docs_url,)]


def test_an_incident_ends_with_the_check_that_finds_its_rule_to_hold(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    check_source(store, settings, catalog, "fred", "run-1", docs="never")
    put(store, TGA, NOW - timedelta(days=6), 7e11)
    check_source(store, settings, catalog, "fred", "run-2", docs="never")
    ended = "select subject from quality.incidents where recovered_at is not null"
    assert store.execute(ended).fetchall() == [(TGA,)]


def test_what_is_blocked_is_an_error_that_says_what_was_observed_and_expected(
    store: psycopg.Connection, settings: Settings, catalog: Catalog
) -> None:
    found = check_source(store, settings, catalog, "fred", "run", docs="never")
    with pytest.raises(QualityError) as caught:
        require_sound(found, "http://127.0.0.1/docs/")
    message = str(caught.value)
    assert f"{TGA}: freshness: observed no point; expected an age of at most 1.5 times its ttl" in message
    assert "Data Docs: http://127.0.0.1/docs/" in message
    require_sound(SourceChecked("fred", (), ()))
