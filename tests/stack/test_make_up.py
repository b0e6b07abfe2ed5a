"""A whole stack of its own on free ports, as `make up` starts it: what a new user gets, end to end."""

import json
import shutil
from datetime import timedelta

import httpx
import psycopg
import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.calendars import sessions
from feature_store.quality.reconciliation import PAIRS
from feature_store.stack.processes import listening_sockets, stack_processes

from .running import Running, wait_for

CHROMIUM = shutil.which("chromium")
FEATURES = 25
STEPS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "tick": timedelta(hours=8)}


def test_up_prints_the_features_and_the_logins(stack: Running) -> None:
    for text in ("macro/us/walcl_total_usd", "macro/us/rrp_total_usd", "crypto/btc/price_usd", "user admin"):
        assert text in stack.printed
    assert f"{FEATURES} features" in stack.printed
    for step in (
        "postgres",
        "bucket",
        "logins",
        "key",
        "api",
        "replay",
        "walk",
        "airflow",
        "ingest",
        "transform",
        "reconcile",
    ):
        assert f"{step} " in stack.printed, "progress is shown"


def test_the_handles_are_always_there(stack: Running) -> None:
    info = stack.info()
    assert set(info) == {
        "postgres_dsn", "airflow_url", "airflow_user", "airflow_password", "api_url", "api_key",
        "s3_endpoint", "s3_access_key", "s3_secret_key", "s3_uri", "replay_url", "now",
    }  # fmt: skip


def test_the_api_answers_to_the_key_that_is_printed(stack: Running) -> None:
    info = stack.handles
    assert f"curl -H 'Authorization: Bearer {info['api_key']}' '{info['api_url']}/v1/latest'" in stack.printed
    headers = {"Authorization": f"Bearer {info['api_key']}"}
    answer = httpx.get(f"{info['api_url']}/v1/latest", headers=headers, timeout=None, trust_env=False)
    assert len(answer.raise_for_status().json()["points"]) == FEATURES


def test_sql_shows_dollars_for_every_vintage(stack: Running) -> None:
    ((low, high, vintages),) = stack.rows(
        "select min(value), max(value), count(distinct available_at) from features.features_versions"
        " where feature_id = 'macro/us/walcl_total_usd'"
    )
    assert 1e12 < low < high < 1e13
    assert vintages > 70
    ((low, high),) = stack.rows(
        "select min(value), max(value) from features.as_of('2025-09-01') where feature_id = 'macro/us/tga_balance_usd'"
    )
    assert 1e10 < low < high < 3e12, "in dollars, though FRED stated billions then"
    csv = stack.call("sql", "-c", "select feature_id from features.latest order by 1", "--csv")
    assert csv.splitlines()[0] == "feature_id"
    assert len(csv.splitlines()) == 1 + FEATURES


def test_a_stream_with_history_covers_its_calendar(stack: Running) -> None:
    catalog = load_catalog()
    held = stack.rows("select feature_id, count(*), min(ts), max(ts) from features.features_values group by 1")
    assert len(held) == FEATURES
    for feature_id, points, first, last in held:
        feature = catalog.feature(feature_id)
        if feature.is_derived or catalog.source(feature.source.id).streams[str(feature.stream)].history == "none":
            continue
        if feature.grain == "daily":
            expected = len(sessions(feature.calendar, first.date(), last.date()))
        else:
            expected = (last - first) // STEPS[feature.frequency] + 1
        assert points >= 0.95 * expected, (feature_id, points, expected)


def test_thirty_days_of_minutes_are_features(stack: Running) -> None:
    ((days, low, high),) = stack.rows(
        "select count(distinct ts::date), min(value), max(value) from features.features_values"
        " where feature_id = 'crypto/btc/price_usd'"
    )
    assert days >= 30
    assert 1e3 < low < high < 1e6
    ((hours, low),) = stack.rows(
        "select count(*), min(value) from features.features_values where feature_id = 'cex/binance/btcusdt_volume_usd'"
    )
    assert hours > 29 * 24
    assert low >= 0


def test_the_last_day_of_a_stream_without_history_was_lived_through(stack: Running) -> None:
    ((steps, hours),) = stack.rows(
        "select count(distinct fetched_at), extract(epoch from max(fetched_at) - min(fetched_at)) / 3600"
        " from raw.fetches where run_id = 'walk'"
    )
    assert (steps, hours) == (47, 23)


def test_it_went_through_airflow(stack: Running) -> None:
    client = stack.airflow()
    sources = {source.slug for source in load_catalog().sources.values()}
    assert set(client.dags()) == {
        *(f"ingest_{slug}" for slug in sources),
        *(f"backfill_{slug}" for slug in sources - {"cex", "etherscan"}),  # which answer only for now
        "transform_features", "export_parquet", "commit_history", "quality_checks", "maintain_storage",
    }  # fmt: skip
    runs = stack.rows("select distinct source, run_id from raw.fetches where run_id like 'manual%'")
    assert {source for source, _ in runs} == sources
    assert all(client.run(f"ingest_{source}", run_id).state == "success" for source, run_id in runs)


def test_the_files_of_all_days_lie_in_the_bucket(stack: Running) -> None:
    dirty = "select feature_id, day, marked_xid::text from ops.dirty_days"
    unmoved = "select sha256 from raw.payloads where content is not null"
    waiting = {*stack.rows(dirty), *stack.rows(unmoved)}
    stack.run("export_parquet")
    ((files, features),) = stack.rows("select count(*), count(distinct feature_id) from ops.exported_files")
    assert files > 1000
    assert features == FEATURES
    assert waiting.isdisjoint([*stack.rows(dirty), *stack.rows(unmoved)])  # what came meanwhile may wait
    assert stack.rows("select count(uri) > 0 from raw.payloads") == [(True,)]


def test_a_dag_is_run_from_the_shell(stack: Running) -> None:
    assert "/dags/commit_history/runs/manual" in stack.call("run", "commit_history")
    assert "there are: backfill_binance" in stack.call("run", "commit_histories", expect=1)


def test_every_dag_says_what_it_is_and_who_owns_it(stack: Running) -> None:
    client = stack.airflow()
    for dag_id in client.dags():
        details = stack.ask_airflow("GET", f"/dags/{dag_id}/details")
        assert details["doc_md"], dag_id
        assert details["tags"], dag_id
        assert details["owners"] != ["airflow"], dag_id


def test_no_process_listens_beyond_this_machine(stack: Running) -> None:
    sockets = listening_sockets(stack.home)
    assert len(sockets) >= 5
    assert [socket for socket in sockets if not socket.is_loopback] == []


def test_secrets_are_nobody_elses(stack: Running) -> None:
    for path in [stack.home / "secrets.json", *stack.home.glob("**/*.conf"), *stack.home.glob("airflow/*.json")]:
        if path.parent.name != "postgres":  # its folder is closed as a whole
            assert path.stat().st_mode & 0o077 == 0, path
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(stack.info()["postgres_dsn"].replace("feature_store:", "feature_store:wrong"))


def test_quality_ran_and_its_pages_are_there(stack: Running) -> None:
    assert stack.rows("select count(*) > 0 from quality.results where suite = 'candidates'") == [(True,)]
    assert (stack.home / "quality" / "data_docs" / "index.html").exists()
    assert (stack.home / "dbt" / "target" / "static_index.html").exists()


def test_every_source_is_checked_by_a_task_of_its_own_and_every_feature_has_a_verdict(stack: Running) -> None:
    catalog = load_catalog()
    stack.run("quality_checks")
    checked = stack.rows("select distinct feature_id from quality.results where suite = 'coverage' order by 1")
    assert [name for (name,) in checked] == sorted(catalog.features)
    found = json.loads(stack.call("quality", "--json"))["features"]
    assert [each["feature_id"] for each in found] == list(catalog.features)
    assert {each["feature_id"]: each["message"] for each in found if each["verdict"] == "block"} == {}
    shown = stack.call("quality")
    assert "macro/us/walcl_total_usd" in shown
    assert "100.0%" in shown


def test_a_blocked_feature_fails_the_task_of_its_source_alone_and_is_told_until_it_is_over(stack: Running) -> None:
    client = stack.airflow()
    is_over = """select recovered_at is not null from quality.incidents
                 where subject = 'macro/us/walcl_total_usd' and rule = 'jump'"""
    try:
        stack.rows(
            """insert into raw.rejects (source, stream, feature_id, ts, rule, reason)
               values ('fred', 'observations', 'macro/us/walcl_total_usd', '2026-01-07', 'jump', 'value is 9e13')
               returning reject_id"""
        )
        run = client.trigger("quality_checks")
        wait_for(lambda: client.run(run.dag_id, run.run_id).has_ended, 300)
        assert client.run(run.dag_id, run.run_id).state == "failed"
        states = stack.states(run, "check")
        assert (states.count("failed"), states.count("success")) == (1, len(states) - 1)
        assert stack.states(run, "data_docs") == ["success"], "the pages come out anyway"
        assert stack.rows(is_over) == [(False,)]
    finally:
        stack.rows("delete from raw.rejects where reason = 'value is 9e13' returning reject_id")
    stack.run("quality_checks")
    assert stack.rows(is_over) == [(True,)]


def test_a_backfill_of_months_adds_nothing_that_is_held(stack: Running) -> None:
    before = stack.call("hash")
    stack.wait_for_backfill(stack.backfill("backfill_fred", "2025-08-01T00:00:00Z", "2025-09-02T00:00:00Z"))
    (rows,) = stack.rows("select count(*), sum(rows_loaded) from raw.fetches where run_id like 'backfill%'")
    assert rows[0] > 0
    assert rows[1] == 0
    assert stack.call("hash") == before


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed on this machine")
def test_the_pages_open_in_a_browser(stack: Running) -> None:
    from playwright.sync_api import sync_playwright

    info = stack.info()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        page.goto(info["airflow_url"])
        page.fill("input[name=username]", info["airflow_user"])
        page.fill("input[name=password]", info["airflow_password"])
        page.keyboard.press("Enter")
        page.get_by_text("Dags", exact=True).first.wait_for(timeout=30_000)
        page.goto(f"{info['airflow_url']}/dags")
        page.get_by_text("transform_features").first.wait_for(timeout=30_000)
        page.goto((stack.home / "quality" / "data_docs" / "index.html").as_uri())
        page.locator("input.search-input:visible").first.press_sequentially("candidates")
        page.locator("a:visible", has_text="candidates").first.wait_for(timeout=10_000)
        docs = (stack.home / "dbt" / "target" / "static_index.html").as_uri()
        page.goto(f"{docs}#!/model/model.feature_store.candidates")
        page.get_by_text("What this run may append").first.wait_for(timeout=30_000)
        browser.close()


def test_a_series_that_fails_is_named_and_keeps_nothing_else_from_arriving(stack: Running) -> None:
    stack.call("replay", "clock", "advance", "--days", "1")  # else there is nothing to ask for
    stack.fault(kind="status", status=400, series="SP500", count=None, message="No such luck.")
    try:
        printed = stack.call("stack", "up")
    finally:
        stack.clear_faults()
    assert "fred/observations/SP500" in printed
    assert "No such luck." in printed
    assert "its log: " in printed
    assert "The rest arrived." in printed
    assert f"{FEATURES} features" in printed


def test_state_survives_down_and_up(stack: Running) -> None:
    before, password = stack.call("hash"), stack.info()["airflow_password"]
    stack.call("stack", "down")
    assert stack_processes(stack.home) == []
    with pytest.raises(httpx.TransportError):
        httpx.get(stack.info()["airflow_url"])
    stack.call("stack", "up")
    assert stack.call("hash") == before
    assert stack.info()["airflow_password"] == password


def test_up_on_a_running_stack_changes_nothing(stack: Running) -> None:
    before = stack.call("hash")
    stack.call("stack", "up")
    assert stack.call("hash") == before


def test_status_shows_every_source_connected(stack: Running) -> None:
    status = json.loads(stack.call("status", "--json"))
    connectors = {row["source"]: row["connector"] for row in status["sources"]}
    assert (len(connectors), set(connectors.values())) == (8, {"connected"})
    assert len(status["features"]) == FEATURES
    assert all(row["rows_fetched"] >= row["rows_loaded"] for row in status["fetches"])
    assert {row["quantity"] for row in status["reconciliation"]} == {pair.quantity for pair in PAIRS}
