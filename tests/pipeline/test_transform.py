"""The transform: Binance's streams become features, what is new decides the work, a failure is told in full."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from feature_store.errors import WarehouseError
from feature_store.pipeline import models
from feature_store.pipeline.models import fingerprint, project, run_dbt
from feature_store.pipeline.transform import build_candidates, judge_candidates, publish, transform

from .store import WALCL, Store

BTC, ETH = "crypto/btc/price_usd", "crypto/eth/price_usd"
VOLUME, FUNDING = "cex/binance/btcusdt_volume_usd", "cex/binance/btcusdt_funding_rate"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def live(store: Store) -> Store:
    """A store an hour after noon."""
    store.at(NOON + HOUR)
    return store


def candle(store: Store, close: float | None, ts: datetime = NOON, **given: Any) -> None:
    """Add a row of a candle: BTCUSDT's minute, closed, unless told otherwise."""
    stream = given.pop("stream", "klines_1m")
    row = {
        "series": "BTCUSDT", "ts": ts, "close": close, "quote_volume": close, "fetch_id": 1, "fetched_at": NOON + HOUR,
        "available_at": ts + MINUTE + timedelta(seconds=2), "available_basis": "schedule",
    } | given  # fmt: skip
    columns = ", ".join(row)
    store.conn.execute(
        f"insert into raw.binance_{stream} ({columns}) values ({', '.join(['%s'] * len(row))})", list(row.values())
    )
    store.conn.commit()


def run(store: Store, run_id: str = "run", *, full_refresh: bool = False) -> int:
    return transform(store.conn, store.catalog, store.settings, run_id, full_refresh).appended


def values(store: Store, feature: str) -> list[tuple[str, float]]:
    return store.conn.execute(
        "select to_char(ts, 'HH24:MI'), value from features.features_values where feature_id = %s order by ts",
        (feature,),
    ).fetchall()


def versions(store: Store, feature: str) -> list[tuple[float | None, bool]]:
    return store.conn.execute(
        """select value, is_provisional from features.features_versions
           where feature_id = %s order by ts, available_at, ingested_at""",
        (feature,),
    ).fetchall()


def test_every_stream_feeds_the_features_that_name_its_numbers(live: Store) -> None:
    candle(live, 91_250.01)
    candle(live, 3_000, series="ETHUSDT")
    candle(live, 90_000, stream="klines_1h", ts=NOON - HOUR, quote_volume=22_858_125.75)
    live.conn.execute(
        """insert into raw.binance_funding_rate
             (series, ts, funding_rate, fetch_id, fetched_at, available_at, available_basis)
           values ('BTCUSDT', %(slot)s, 0.0001, 1, %(now)s, %(slot)s, 'schedule')""",
        {"slot": NOON - 4 * HOUR, "now": NOON + HOUR},
    )
    assert run(live) == 5, "the volume has a twin"
    assert values(live, BTC) == [("12:00", 91_250.01)]
    assert values(live, ETH) == [("12:00", 3_000)]
    assert values(live, VOLUME) == [("11:00", 22_858_125.75)]
    assert values(live, FUNDING) == [("08:00", 0.0001)]


def test_a_series_without_a_feature_stays_raw(live: Store) -> None:
    candle(live, 3_000, stream="klines_1h", series="ETHUSDT")
    live.conn.execute(
        """insert into raw.binance_ticker_24h
             (series, ts, last_price, fetch_id, fetched_at, available_at, available_basis)
           values ('BTCUSDT', %(now)s, 91000, 1, %(now)s, %(now)s, 'schedule')""",
        {"now": NOON},
    )
    assert run(live) == 0
    assert live.count("features.candidates") == 0


def test_an_open_candle_stays_raw_until_it_is_closed(live: Store) -> None:
    candle(live, 91_000, is_provisional=True, available_at=NOON + timedelta(seconds=30), available_basis="ingested")
    assert run(live) == 0
    candle(live, 91_250, fetch_id=2)
    assert run(live) == 1
    assert versions(live, BTC) == [(91_250, False)]


def test_an_estimate_is_published_with_lower_confidence(live: Store) -> None:
    live.conn.execute("update registry.feature_series set provisional = 'estimate' where feature_id = %s", (BTC,))
    candle(live, 91_000, is_provisional=True, available_at=NOON + timedelta(seconds=30), available_basis="ingested")
    candle(live, 91_250, fetch_id=2)
    run(live)
    assert versions(live, BTC) == [(91_000, True), (91_250, False)]
    shares = live.conn.execute("select confidence from features.features_versions order by available_at").fetchall()
    assert shares == [(pytest.approx(0.99 * 0.8),), (0.99,)]


def test_a_better_reading_of_an_answer_corrects_what_it_said(live: Store) -> None:
    candle(live, 9_125)
    run(live)
    candle(live, 91_250, reading=1)
    assert run(live) == 1
    assert values(live, BTC) == [("12:00", 91_250)]
    assert versions(live, BTC) == [(9_125, False), (91_250, False)], "what was published stays to be seen"


def test_a_reading_of_nothing_withdraws_what_the_answer_was_read_to_say(live: Store) -> None:
    candle(live, 9_125)
    run(live)
    candle(live, None, reading=1)
    assert run(live) == 1
    assert values(live, BTC) == []
    assert versions(live, BTC) == [(9_125, False), (None, False)]
    held = live.hash()
    live.conn.execute("truncate features.features_versions, features.features_values, features.latest_values")
    run(live, full_refresh=True)
    assert live.hash() == held, "a store that reads both at once ends in the same state"


def test_every_number_the_catalog_names_finds_its_way_to_the_candidates(store: Store) -> None:
    named = store.conn.execute("select source_slug, stream, field from registry.feature_series where is_current")
    nodes = {node.name: node for node in project(store.settings).nodes.values()}
    code = {name: node.raw_code for name, node in nodes.items() if name.startswith("points_") and "__" in name}
    unknown = [
        (slug, stream, field)
        for slug, stream, field in named
        if f"'{field}'" not in code.get(f"points_{slug}__{stream}", "")
    ]
    assert unknown == [], "such a feature would get no number, and nobody would be told"
    for reader in ("points_with_news", "point_versions"):
        read = {name.rsplit(".", 1)[1] for name in nodes[reader].depends_on.nodes}
        assert set(code) <= read


def test_a_full_refresh_derives_everything_again_and_appends_nothing(live: Store) -> None:
    candle(live, 91_250)
    run(live)
    again = transform(live.conn, live.catalog, live.settings, "again", full_refresh=True)
    assert (again.appended, again.duplicate) == (0, 1)
    quiet = transform(live.conn, live.catalog, live.settings, "quiet")
    assert (quiet.appended, quiet.duplicate) == (0, 0)


def test_what_is_out_of_range_is_kept_out_and_the_rest_published(live: Store) -> None:
    candle(live, 91_250)
    candle(live, 3e-9, ts=NOON + MINUTE)
    done = transform(live.conn, live.catalog, live.settings, "run")
    assert (done.appended, done.blocked, done.newly_blocked) == (1, 1, 1)
    assert live.count("raw.rejects") == 1


def test_views_are_made_again_only_when_the_project_changed(live: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> list[tuple[int]]:
        return live.conn.execute("select oid from pg_class where relname like 'points\\_%\\_\\_%'").fetchall()

    run(live)
    first = made()
    assert len(first) == 21
    run(live)
    assert made() == first
    monkeypatch.setattr("feature_store.pipeline.transform.fingerprint", lambda: "another project")
    run(live)
    assert set(made()).isdisjoint(first)


def test_a_view_that_somebody_dropped_is_made_again(live: Store) -> None:
    run(live)
    live.conn.execute("drop view staging.stg_binance__klines_1m cascade")
    live.conn.commit()
    candle(live, 91_250)
    assert run(live) == 1


def test_a_model_that_fails_is_named_with_what_the_database_said(live: Store) -> None:
    live.conn.execute("drop view staging.stg_binance__klines_1m cascade")
    live.conn.execute("alter table raw.binance_klines_1m rename column close to closing")
    live.conn.commit()
    with pytest.raises(WarehouseError, match=r"(?s)model stg_binance__klines_1m.*column \"close\" does not exist"):
        run(live, full_refresh=True)
    assert live.count("features.features_versions") == 0


def test_a_data_test_that_fails_is_named_with_the_rows_it_found(live: Store) -> None:
    live.serve("WALCL", "ts,value,available_at\n2024-03-06,7000000,2024-03-07T21:30:00Z\n")
    live.ingest()
    live.conn.execute("update raw.fred_observations set unit = 'Trillions of Dollars'")
    live.conn.commit()
    with pytest.raises(WarehouseError, match=r"every_stated_unit_of_fred_has_a_factor.*found WALCL, Trillions of Dol"):
        run(live)
    live.conn.execute("update raw.fred_observations set unit = 'Millions of U.S. Dollars'")
    assert run(live) == 1, "the rows are new until a run has published them"
    assert live.values(WALCL) == {"2024-03-06": 7e12}


def test_what_the_writer_refuses_is_told_and_nothing_counts_as_read(live: Store) -> None:
    candle(live, 91_250)
    build_candidates(live.conn, live.settings, "run")
    judge_candidates(live.conn, live.catalog, live.settings, "run")
    live.conn.execute("alter table features.features_versions add constraint low check (value < 1) not valid")
    live.conn.commit()
    with pytest.raises(WarehouseError, match=r"(?s)model features_versions.*violates check constraint \"low\""):
        publish(live.conn, live.settings, "run")
    live.conn.execute("alter table features.features_versions drop constraint low")
    live.conn.commit()
    assert run(live, "the next") == 1


def test_candidates_of_another_run_are_neither_judged_nor_published(live: Store) -> None:
    candle(live, 91_250)
    build_candidates(live.conn, live.settings, "first")
    judge_candidates(live.conn, live.catalog, live.settings, "first")
    build_candidates(live.conn, live.settings, "second")
    with pytest.raises(WarehouseError, match="of 'second', not of 'first'"):
        publish(live.conn, live.settings, "first")
    with pytest.raises(WarehouseError, match="of 'second', not of 'first'"):
        judge_candidates(live.conn, live.catalog, live.settings, "first")
    with pytest.raises(WarehouseError, match="were not judged"):
        publish(live.conn, live.settings, "second")
    run_dbt(live.settings, "run", "--select", "candidates")
    with pytest.raises(WarehouseError, match="of 'no run'"):
        publish(live.conn, live.settings, "second")
    assert live.count("features.features_versions") == 0


def test_two_transforms_at_once_take_turns(live: Store, dsn: str) -> None:
    candle(live, 91_250)
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtext('transform'))")
        done: list[int] = []
        waiting = threading.Thread(target=lambda: done.append(run(live)))
        waiting.start()
        others = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while other.execute(others).fetchone() != (1,):
            assert waiting.is_alive()
        assert done == []
        other.execute("select pg_advisory_unlock(hashtext('transform'))")
        waiting.join()
    assert done == [1]


def test_a_changed_project_is_parsed_again_and_an_unchanged_one_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = project(store.settings)
    assert project(store.settings) is parsed
    monkeypatch.setattr(models, "fingerprint", lambda: "changed")
    assert project(store.settings) is not parsed


def test_the_fingerprint_is_of_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PROJECT", tmp_path)
    (tmp_path / "a.sql").write_text("select 1")
    first = fingerprint()
    (tmp_path / "a.sql").write_text("select 2")
    second = fingerprint()
    (tmp_path / "b.sql").write_text("")
    assert len({first, second, fingerprint()}) == 3


@pytest.fixture
def minutes(live: Store) -> Store:
    """500,000 minutes that were transformed long ago, and the two of this run, in an open window."""
    live.conn.execute(
        """insert into raw.binance_klines_1m
             (series, ts, close, fetch_id, fetched_at, available_at, available_basis)
           select series, %(end)s - n * interval '1 minute', 91000, 1, %(end)s,
             %(end)s - n * interval '1 minute' + interval '62 s', 'schedule'
           from unnest(array['BTCUSDT', 'ETHUSDT']) as series, generate_series(2, 250001) as n""",
        {"end": NOON},
    )
    live.conn.execute("analyze raw.binance_klines_1m")
    live.conn.commit()
    live.conn.execute("select ops.open_window('transform')")
    live.conn.execute("select ops.close_window('transform')")
    live.conn.commit()
    candle(live, 91_250)
    candle(live, 3_000, series="ETHUSDT")
    build_candidates(live.conn, live.settings, "run")
    assert live.count("features.candidates") == 2
    return live


@pytest.mark.parametrize("model", ["points_with_news", "candidates"])
def test_a_run_never_scans_the_rows_of_earlier_runs(minutes: Store, model: str) -> None:
    [compiled] = [node.compiled_code for node in project(minutes.settings).nodes.values() if node.name == model]
    plan = minutes.conn.execute(f"explain (analyze, format json) {compiled}").fetchone()
    assert plan is not None
    scans = list(scanned(plan[0][0]["Plan"]))
    touched = {scan["Relation Name"]: scan for scan in scans if scan["Actual Loops"]}
    assert "Index" in touched["binance_klines_1m"]["Node Type"]
    assert touched["binance_klines_1m"]["Actual Rows"] <= 2
    assert [s for s in scans if s["Node Type"] == "Seq Scan" and s["Actual Loops"] and is_raw(s)] == []


def is_raw(scan: dict[str, Any]) -> bool:
    return scan["Relation Name"].startswith(("binance_", "fred_"))


def scanned(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan that reads a table."""
    if "Relation Name" in plan:
        yield plan
    for child in plan.get("Plans", []):
        yield from scanned(child)


def test_the_mark_of_the_candidates_says_whose_they_are(live: Store) -> None:
    run(live, "scheduled__2026")
    row = live.conn.execute("select obj_description('features.candidates'::regclass)").fetchone()
    assert row is not None
    description, mark = row[0].rsplit("\n", 1)
    assert description.startswith("What this run may append"), "the comment is for people too"
    assert json.loads(mark) == {"project": fingerprint(), "run": "scheduled__2026", "judged": True}
