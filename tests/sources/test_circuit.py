"""A host that asks to be left alone is left alone, by every process, and for no longer than it asks."""

import json
import multiprocessing
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import psycopg
import pytest
import stamina

from feature_store import clock
from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import UsedWeight
from feature_store.errors import CircuitOpen, Refused, Retriable, SourceError, TooFast, WarehouseError
from feature_store.settings import load_settings
from feature_store.sources.budget import pool, unlimited
from feature_store.sources.circuit import Circuit, circuits
from feature_store.sources.http import Http
from feature_store.warehouse.status import read_status

from .upstream import Answer, Upstream, answering, wall

HOST = "fapi.binance.com"
WEIGHT = UsedWeight(header="x-mbx-used-weight-1m", per_minute=6000)
SECRET = "k/" * 16


@pytest.fixture(autouse=True)
def _one_attempt() -> Iterator[None]:
    """What a request does after it waited is the first attempt of the next one."""
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with answering() as found:
        yield found


def ask(dsn: str, url: str) -> int:
    """One request of a process that shares nothing but the database; the status of its answer."""
    with Http(url, unlimited(), {"key": SECRET}, wall, Circuit(dsn, "binance", HOST), WEIGHT) as http:
        return http.get("x", {}).status


def row(db: psycopg.Connection) -> dict[str, Any]:
    found = circuits(db)
    db.rollback()
    assert len(found) == 1
    return found[0]


def seconds_open(db: psycopg.Connection) -> float:
    """How long the circuit still is open, from now."""
    return float((row(db)["until"] - datetime.now(UTC)).total_seconds())


def let_pass(db: psycopg.Connection) -> None:
    """Let the time that the circuit is open be over."""
    db.execute("update ops.circuits set until = clock_timestamp()")
    db.commit()


def in_seconds(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def banned_until(instant: datetime) -> str:
    said = f"Way too much request weight used; IP banned until {int(instant.timestamp() * 1000)}. Use the websocket."
    return json.dumps({"code": -1003, "msg": said})


@pytest.mark.parametrize(
    ("answer", "error", "seconds"),
    [
        (lambda: Answer(429, {"Retry-After": "3600"}), TooFast, 3600),
        (lambda: Answer(429, {"Retry-After": format_datetime(in_seconds(3600), usegmt=True)}), TooFast, 3600),
        (lambda: Answer(429), TooFast, 20),
        (lambda: Answer(429, {"Retry-After": "0"}), TooFast, 20),
        (lambda: Answer(429, {"Retry-After": "soon"}), TooFast, 20),
        (lambda: Answer(429, {"Retry-After": format_datetime(in_seconds(-60), usegmt=True)}), TooFast, 20),
        (lambda: Answer(418, {"Retry-After": "7200"}), TooFast, 7200),
        (lambda: Answer(418, body=banned_until(in_seconds(7200))), TooFast, 7200),
        (lambda: Answer(418, {"Retry-After": "60"}, banned_until(in_seconds(7200))), TooFast, 7200),
        (lambda: Answer(418), TooFast, 900),
        (lambda: Answer(418, {"Retry-After": "9" * 400}), TooFast, 3 * 86_400),
        (lambda: Answer(403, body="<html>Request blocked</html>"), Refused, 900),
        (lambda: Answer(451), Refused, 3600),
        (lambda: Answer(503, {"Retry-After": "300"}), Retriable, 300),
    ],
)
def test_a_host_is_left_alone_as_long_as_it_says_or_as_is_usual(
    dsn: str, db: psycopg.Connection, upstream: Upstream, answer: Any, error: type[SourceError], seconds: int
) -> None:
    upstream.answers.append(answer())
    with pytest.raises(error) as raised:
        ask(dsn, upstream.url)
    assert type(raised.value) is error
    assert raised.value.payload is not None, "the answer is kept"
    assert seconds_open(db) == pytest.approx(seconds, abs=15)


def test_no_process_asks_before_the_time_is_over(dsn: str, upstream: Upstream) -> None:
    upstream.answers.append(Answer(418, body=banned_until(in_seconds(7200))))
    with pytest.raises(TooFast):
        ask(dsn, upstream.url)
    with (
        multiprocessing.get_context("spawn").Pool(2) as processes,
        pytest.raises(CircuitOpen, match="is not asked before"),
    ):
        processes.starmap(ask, [(dsn, upstream.url)] * 2)
    assert len(upstream.arrivals) == 1


def test_an_open_circuit_says_which_host_why_since_when_and_until_when(
    dsn: str, db: psycopg.Connection, upstream: Upstream
) -> None:
    upstream.answers.append(Answer(418, {"Retry-After": "7200"}, "teapot"))
    with pytest.raises(TooFast):
        ask(dsn, upstream.url)
    with pytest.raises(CircuitOpen) as raised:
        ask(dsn, upstream.url)
    found = row(db)
    since, until = (f"{found[name].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" for name in ("since", "until"))
    assert raised.value.until == found["until"]
    assert str(raised.value).startswith(
        f"{HOST} (binance) is not asked before {until}: answered 418: teapot (trouble since {since}). It is asked again"
    )


def test_the_refusal_of_a_place_says_what_to_do(dsn: str, upstream: Upstream) -> None:
    upstream.answers.append(Answer(451))
    for error in (Refused, CircuitOpen):
        with pytest.raises(error, match=r"base_url in datasources\.yaml .*https://data-api\.binance\.vision"):
            ask(dsn, upstream.url)


def test_a_short_rest_is_waited_for(dsn: str, db: psycopg.Connection, upstream: Upstream) -> None:
    Circuit(dsn, "binance", HOST).pause("full", 0.5)
    until = row(db)["until"]
    assert ask(dsn, upstream.url) == 200
    assert upstream.arrivals[0] >= until.timestamp() - 0.01


def test_a_circuit_that_opens_during_the_wait_for_the_budget_is_obeyed(dsn: str, upstream: Upstream) -> None:
    class Late:
        """A budget during whose wait another process is banned."""

        def try_acquire(self, name: str) -> bool:
            Circuit(dsn, "binance", HOST).pause("banned", 3600)
            return True

    with (
        Http(upstream.url, Late(), {}, wall, Circuit(dsn, "binance", HOST)) as http,
        pytest.raises(CircuitOpen),
    ):
        http.get("x", {})
    assert upstream.arrivals == []


def test_a_circuit_closes_by_itself_and_a_good_answer_forgets_the_trouble(
    dsn: str, db: psycopg.Connection, upstream: Upstream
) -> None:
    upstream.answers.append(Answer(418))
    with pytest.raises(TooFast):
        ask(dsn, upstream.url)
    let_pass(db)
    assert row(db)["state"] == "closed"
    assert ask(dsn, upstream.url) == 200
    assert circuits(db) == []


def test_a_second_ban_opens_the_circuit_again(dsn: str, db: psycopg.Connection, upstream: Upstream) -> None:
    upstream.answers.extend([Answer(418, {"Retry-After": "120"}), Answer(418, {"Retry-After": "7200"})])
    for seconds in (120, 7200):
        with pytest.raises(TooFast):
            ask(dsn, upstream.url)
        assert seconds_open(db) == pytest.approx(seconds, abs=15)
        let_pass(db)


def test_patience_without_a_stated_time_doubles_for_all(dsn: str, db: psycopg.Connection, upstream: Upstream) -> None:
    upstream.usual = Answer(429)
    for seconds in (20, 40, 80, 120, 120):
        with pytest.raises(TooFast):
            ask(dsn, upstream.url)
        assert seconds_open(db) == pytest.approx(seconds, abs=15)
        let_pass(db)


@pytest.mark.parametrize("status", [0, 500, 503])
def test_five_failures_in_a_row_open_the_circuit_for_a_doubling_time(
    dsn: str, db: psycopg.Connection, upstream: Upstream, status: int
) -> None:
    upstream.usual = Answer(status)
    for seconds in (0, 0, 0, 0, 60, 120, 240, 480, 900, 900):
        with pytest.raises(Retriable, match="no answer" if status == 0 else f"answered {status}"):
            ask(dsn, upstream.url)
        assert seconds_open(db) == pytest.approx(seconds, abs=15)
        let_pass(db)


@pytest.mark.parametrize("sign_of_life", [Answer(), Answer(400), Answer(404)])
def test_any_good_answer_ends_the_row_of_failures(
    dsn: str, db: psycopg.Connection, upstream: Upstream, sign_of_life: Answer
) -> None:
    upstream.answers.extend([Answer(500)] * 4 + [sign_of_life, Answer(500)])
    for _ in range(6):
        with pytest.raises(SourceError) if upstream.answers[0].status != 200 else nullcontext():
            ask(dsn, upstream.url)
    assert (row(db)["failures"], row(db)["state"]) == (1, "closed")


def test_answers_to_what_was_under_way_neither_close_a_circuit_nor_count(dsn: str, db: psycopg.Connection) -> None:
    circuit = Circuit(dsn, "binance", HOST)
    assert circuit.failed("answered 418: banned", lambda _: 7200) > 7000
    assert circuit.failed("answered 503: busy", lambda _: 1) > 7000
    circuit.succeeded()
    found = row(db)
    assert (found["reason"], found["failures"], found["state"]) == ("answered 418: banned", 1, "open")


def test_hosts_are_independent(dsn: str, upstream: Upstream) -> None:
    Circuit(dsn, "binance", "api.binance.com").pause("banned", 3600)
    Circuit(dsn, "defillama", HOST).pause("banned", 3600)
    assert ask(dsn, upstream.url) == 200


@pytest.mark.parametrize("header", ["x-mbx-used-weight-1m", "X-MBX-USED-WEIGHT-1M"])
def test_a_budget_that_is_nearly_spent_is_left_to_others_until_the_next_minute(
    dsn: str, db: psycopg.Connection, upstream: Upstream, header: str
) -> None:
    upstream.answers.append(Answer(200, {header: "5400"}))
    assert ask(dsn, upstream.url) == 200, "the answer itself is good"
    found = row(db)
    to_the_minute = (found["until"].timestamp() + 30) % 60 - 30
    assert abs(to_the_minute) < 1
    assert found["reason"] == "x-mbx-used-weight-1m says that 5400 of 6000 are spent in this minute"
    let_pass(db)
    assert ask(dsn, upstream.url) == 200
    assert circuits(db) == []


@pytest.mark.parametrize("headers", [{}, {"x-mbx-used-weight-1m": "5399"}, {"x-mbx-used-weight-1m": "many"}])
def test_a_budget_with_room_or_without_a_word_of_it_stops_nobody(
    dsn: str, db: psycopg.Connection, upstream: Upstream, headers: dict[str, str]
) -> None:
    upstream.answers.append(Answer(200, headers))
    ask(dsn, upstream.url)
    assert circuits(db) == []


def test_a_circuit_runs_on_real_time_whatever_the_stores_clock_says(
    dsn: str, db: psycopg.Connection, upstream: Upstream
) -> None:
    clock.freeze(db, datetime(2024, 3, 1, tzinfo=UTC))
    upstream.answers.append(Answer(418, {"Retry-After": "3600"}))
    with pytest.raises(TooFast):
        ask(dsn, upstream.url)
    assert seconds_open(db) == pytest.approx(3600, abs=15)
    clock.freeze(db, datetime(2124, 3, 1, tzinfo=UTC))
    with pytest.raises(CircuitOpen):
        ask(dsn, upstream.url)


@pytest.mark.parametrize("shown", [SECRET, "k%2F" * 16])
def test_no_key_is_stored_whatever_the_source_echoes(
    dsn: str, db: psycopg.Connection, upstream: Upstream, shown: str
) -> None:
    upstream.answers.append(Answer(403, body="x" * 280 + shown))
    with pytest.raises(Refused) as raised:
        ask(dsn, upstream.url)
    assert "k/" not in f"{raised.value}{row(db)}"
    assert "k%" not in f"{raised.value}{row(db)}"


def test_without_the_database_nothing_is_asked(dsn: str, upstream: Upstream) -> None:
    away = psycopg.conninfo.make_conninfo(dsn, dbname="nowhere")
    pool(away).timeout = 0.1
    with pytest.raises(WarehouseError, match="nowhere cannot be used"):
        ask(away, upstream.url)
    assert upstream.arrivals == []


def test_status_shows_hosts_with_something_to_say(dsn: str, db: psycopg.Connection, upstream: Upstream) -> None:
    ask(dsn, upstream.url)
    assert read_status(db, load_catalog(), load_settings())["circuits"] == []
    upstream.answers.append(Answer(451, body="not here"))
    with pytest.raises(Refused):
        ask(dsn, upstream.url)
    shown = read_status(db, load_catalog(), load_settings())["circuits"]
    assert [(found["host"], found["source"], found["state"]) for found in shown] == [(HOST, "binance", "open")]
    assert shown[0]["reason"].startswith("answered 451: not here. ")
    assert shown[0]["since"] < shown[0]["until"]
