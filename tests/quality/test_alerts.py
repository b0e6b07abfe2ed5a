"""A breach is told once when it opens and once when it is over, whatever becomes of the webhook on the way."""

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import stamina

from feature_store import clock
from feature_store.quality.alerts import send_due
from feature_store.quality.incidents import follow
from feature_store.quality.results import RuleResult
from feature_store.settings import Settings
from tests.quality import NOW, RRP, TGA, WALCL

from .webhook import PATH, Webhook, listening

TABLE = "raw.fred_observations"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as webhook:
        yield webhook


@pytest.fixture
def settings(webhook: Webhook) -> Settings:
    return Settings(FEATURE_STORE_ALERT_WEBHOOK=webhook.url)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Attempts follow each other at once."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def conn(db: psycopg.Connection) -> psycopg.Connection:
    clock.freeze(db, NOW)
    return db


def result(feature: str | None = WALCL, rule: str = "freshness", *, success: bool = False, **given: Any) -> RuleResult:
    held = {"suite": "freshness", "severity": "warn", "scope": "table", "checked": None, "failed": None,
            "observed": "an age of 3 days", "expected": "an age of at most 1 day", "reason": "because"}  # fmt: skip
    return RuleResult(rule=rule, feature=feature, success=success, **(held | given))


def check(conn: psycopg.Connection, *results: RuleResult, source: str = "fred", docs: str | None = None) -> None:
    follow(conn, "run", source, results, table=TABLE, docs=docs)


def open_incidents(conn: psycopg.Connection) -> list[tuple[str, str]]:
    return conn.execute(
        "select subject, rule from quality.incidents where recovered_at is null order by 1, 2"
    ).fetchall()


def incidents(conn: psycopg.Connection) -> int:
    row = conn.execute("select count(*) from quality.incidents").fetchone()
    assert row is not None
    return int(row[0])


def test_a_breach_is_told_once_however_often_it_is_found(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for n in range(5):
            check(conn, result(observed=f"an age of {n} days"))
            send_due(conn, settings)
    assert webhook.told() == [("opened", WALCL, "freshness")]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.text.count(WALCL) == 1


def test_an_incident_that_goes_on_says_when_and_how_it_was_last_seen(conn: psycopg.Connection) -> None:
    check(conn, result(observed="an age of 2 days"), docs="file:///first")
    clock.freeze(conn, NOW + timedelta(hours=1))
    check(conn, result(observed="an age of 3 days"))
    told = conn.execute("select message, docs, opened_at, last_seen_at, recovered_at from quality.incidents").fetchall()
    message = f"{WALCL}: freshness: observed an age of 3 days; expected an age of at most 1 day"
    assert told == [(message, "file:///first", NOW, NOW + timedelta(hours=1), None)]


def test_its_end_is_told_once_and_the_next_breach_is_a_new_incident(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook
) -> None:
    for success in (False, True, True, False, False, True):
        check(conn, result(success=success))
        send_due(conn, settings)
    assert [event for event, *_ in webhook.told()] == ["opened", "recovered"] * 2
    assert len({told["incidentId"] for told in webhook.taken}) == incidents(conn) == 2


def test_a_check_that_says_nothing_of_a_rule_leaves_its_incident_open(conn: psycopg.Connection) -> None:
    check(conn, result(), result(rule="coverage"), result(TGA))
    check(conn)
    check(conn, result(TGA, success=True), result(rule="coverage", success=True), result(RRP, success=True))
    assert open_incidents(conn) == [(WALCL, "freshness")]


def test_a_check_of_another_source_ends_nothing(conn: psycopg.Connection) -> None:
    check(conn, result(None, "columns"))
    check(conn, result(None, "columns", success=True), source="binance")
    assert open_incidents(conn) == [(TABLE, "columns")]


def test_a_rule_that_was_checked_twice_holds_if_it_held_both_times(conn: psycopg.Connection) -> None:
    check(conn, result(success=True), result(), result(success=True))
    assert open_incidents(conn) == [(WALCL, "freshness")]


def test_what_is_about_no_feature_is_about_the_table(conn: psycopg.Connection) -> None:
    check(conn, result(None, "columns"))
    assert conn.execute("select subject, feature_id from quality.incidents").fetchall() == [(TABLE, None)]
    with pytest.raises(ValueError, match="columns is about no feature"):
        follow(conn, "run", "fred", [result(None, "columns")])


def test_checks_at_once_open_one_incident(conn: psycopg.Connection, dsn: str) -> None:
    def found(_: int) -> None:
        with psycopg.connect(dsn) as own:
            for _ in range(10):
                check(own, result(WALCL), result(TGA), result(RRP))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(found, range(4)))
    assert incidents(conn) == 3


def test_the_notice_has_what_people_and_machines_need(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook
) -> None:
    check(conn, result(severity="block", observed="<!channel> & 2 rows"), docs="https://host/docs")
    send_due(conn, settings)
    assert webhook.taken == [{
        "text": f"block: {WALCL}: freshness broken since 2024-01-10 00:00 UTC: observed &lt;!channel&gt; &amp; 2 rows; "
        "expected an age of at most 1 day. https://host/docs",
        "event": "opened", "incidentId": 1, "subject": WALCL, "featureId": WALCL, "source": "fred",
        "rule": "freshness", "severity": "block", "observed": "<!channel> & 2 rows",
        "expected": "an age of at most 1 day", "docs": "https://host/docs", "openedAt": "2024-01-10T00:00:00Z",
        "lastSeenAt": "2024-01-10T00:00:00Z", "recoveredAt": None,
    }]  # fmt: skip


@pytest.mark.parametrize("status", [500, 429, 404, 302])
def test_what_a_failing_webhook_did_not_take_is_told_once_when_it_is_well_again(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    webhook.status = status
    check(conn, result(), result(TGA))
    assert send_due(conn, settings) == 0
    assert f"FEATURE_STORE_ALERT_WEBHOOK answered {status}" in caplog.text
    webhook.status = 200
    assert [send_due(conn, settings) for _ in range(2)] == [2, 0]
    assert webhook.told() == [("opened", TGA, "freshness"), ("opened", WALCL, "freshness")]


def test_an_incident_that_is_over_before_it_could_be_told_gives_both_notices_in_order(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook
) -> None:
    webhook.status = 503
    for success in (False, True):
        check(conn, result(success=success))
        send_due(conn, settings)
    webhook.status = 200
    assert send_due(conn, settings) == 2
    assert [event for event, *_ in webhook.told()] == ["opened", "recovered"]


def test_the_end_of_an_incident_is_never_told_before_its_beginning(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook
) -> None:
    webhook.status = 400
    check(conn, result())
    check(conn, result(success=True))
    assert send_due(conn, settings) == 0
    told = conn.execute("select alerted_at, recovery_alerted_at from quality.incidents").fetchall()
    assert told == [(None, None)]


def test_senders_at_once_tell_it_once(conn: psycopg.Connection, settings: Settings, webhook: Webhook, dsn: str) -> None:
    def send() -> int:
        with psycopg.connect(dsn) as own:
            return send_due(own, settings)

    check(conn, result())
    webhook.free.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send)
        assert webhook.asked.wait(60)
        assert send() == 0, "another is at it"
        webhook.free.set()
        assert first.result() == 1
    assert len(webhook.taken) == 1


def test_no_transaction_is_open_while_the_webhook_is_asked(
    conn: psycopg.Connection, settings: Settings, webhook: Webhook, dsn: str
) -> None:
    check(conn, result())
    webhook.free.clear()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send_due, conn, settings)
        assert webhook.asked.wait(60)
        with psycopg.connect(dsn) as other:
            states = other.execute(
                "select state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            ).fetchall()
        webhook.free.set()
        assert sent.result() == 1
    assert states == [("idle",)]


def test_without_a_webhook_it_is_in_the_log_once(conn: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    for success in (False, False, True):
        check(conn, result(severity="block", success=success))
        send_due(conn, Settings())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["block", "recovered"]


@pytest.mark.parametrize("kind", ["closed", "refusing", "nowhere", "broken", "bare"])
def test_the_address_is_in_no_log_and_no_error(
    conn: psycopg.Connection, webhook: Webhook, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    urls = {
        "closed": f"http://127.0.0.1:{closed}{PATH}", "refusing": webhook.url,
        "nowhere": f"http://no-such-host.invalid{PATH}", "broken": f"http://[::{PATH}",
        "bare": f"no-such-host.invalid{PATH}",
    }  # fmt: skip
    webhook.status = 403
    check(conn, result())
    with caplog.at_level(logging.DEBUG):
        assert send_due(conn, Settings(FEATURE_STORE_ALERT_WEBHOOK=urls[kind])) == 0
        webhook.status = 200
        assert send_due(conn, Settings(FEATURE_STORE_ALERT_WEBHOOK=webhook.url)) == 1
    assert "FEATURE_STORE_ALERT_WEBHOOK" in caplog.text
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert not [part for part in (PATH, "s3cret", "no-such-host", str(closed), webhook.url) if part in said]
