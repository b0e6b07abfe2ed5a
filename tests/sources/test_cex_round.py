"""Asking the venues: all at once, none for longer than the deadline, over real HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import CircuitOpen, Refused, Retriable
from feature_store.sources import cex
from feature_store.sources import http as http_module
from feature_store.sources.budget import unlimited
from feature_store.sources.cex_books import VENUES
from feature_store.sources.cex_round import ask
from feature_store.sources.circuit import Circuit
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Host, Http
from tests.faults import add_fault, clear_faults
from tests.http_server import QuietHandler, listening_on
from tests.replay.server import Wall, candle, candles, serving

from .cex_rounds import BOOKS, venues
from .upstream import wall

NOW = "2026-03-02T12:00:30+00:00"
CATALOG = load_catalog()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The replayed venues, at 50,000."""
    folder = tmp_path_factory.mktemp("replay")
    candles(folder, "BTCUSDT", [candle("2026-03-02T11:55:00Z", at, 50_000) for at in range(5)])
    with serving(folder, Wall(NOW)) as url:
        yield url


@pytest.fixture
def http(upstream: str) -> Iterator[Http]:
    clear_faults(upstream)
    with at(lambda name: f"{upstream}/cex/{name}", Wall(NOW)) as client:
        yield client


def at(root: Callable[[str], str], now: Callable[[], datetime], circuits: dict[str, Circuit] | None = None) -> Http:
    hosts = {name: Host(root(name), (circuits or {}).get(name)) for name in CATALOG.source("cex").hosts}
    return Http("", unlimited(), {}, now, hosts=hosts)


def spec(stream: str) -> SeriesSpec:
    (found,) = CATALOG.series("cex", stream)
    return found


def fetched(http: Http, stream: str) -> Payload:
    (payload,) = cex.fetch(http, spec(stream), Window(None, wall()))
    return payload


def read(payload: Payload) -> Row:
    (row,) = cex.parse(payload)
    return row


def fault(upstream: str, **what: Any) -> None:
    add_fault(upstream, source="cex", **what)


@contextmanager
def venue_server(answer: Callable[[BaseHTTPRequestHandler, str], None]) -> Iterator[str]:
    """Hosts below one address; `answer` says what the host of a name does."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            answer(self, self.path.split("/")[1])

    with listening_on(Handler) as address:
        yield address


def send(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(("stream", "asked"), [("books", 6), ("open_interest", 7)])
def test_a_round_is_one_answer_that_all_venues_are_in(http: Http, stream: str, asked: int) -> None:
    payload = fetched(http, stream)
    row = read(payload)
    assert (row.values["answered"], row.values["asked"]) == (asked, asked)
    assert row.ts == payload.fetched_at == datetime.fromisoformat(NOW)


def test_every_answer_stands_in_the_round_byte_for_byte(http: Http, upstream: str) -> None:
    said = json.loads(fetched(http, "books").content)
    assert said["round"] == NOW
    for answers in said["venues"].values():
        (answer,) = answers
        assert answer["body"] == httpx.get(answer["url"], timeout=None).text
        assert (answer["status"], answer["fetched_at"]) == (200, NOW)
        assert answer["elapsed_ms"] >= 0


def test_every_host_that_is_asked_is_in_the_catalog() -> None:
    asked = {venue.host for kind in cex.ROUNDS.values() for venue in kind.venues}
    assert asked == set(CATALOG.source("cex").hosts)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"kind": "status", "status": 451, "path": "binance/api"}, "answered 451"),
        ({"kind": "status", "status": 403, "path": "bybit/v5"}, "answered 403"),
        ({"kind": "status", "status": 429, "path": "okx/api"}, "50011"),
        ({"kind": "html", "path": "kraken/0"}, "HTML where JSON was due"),
        ({"kind": "truncated", "path": "bitget/api"}, "truncated or broken JSON"),
        ({"kind": "disconnected", "path": "coinbase/products"}, "no answer"),
        ({"kind": "renamed", "field": "b", "to": "bid", "path": "bybit/v5"}, "KeyError('b')"),
    ],
)
def test_a_venue_that_fails_is_missing_with_its_reason_and_asked_once(
    http: Http, upstream: str, what: dict[str, Any], why: str
) -> None:
    fault(upstream, **what)
    row = read(fetched(http, "books"))
    name = str(what["path"]).split("/")[0]
    assert why in venues(row)[name]["missing"]
    assert (row.values["answered"], row.values["asked"]) == (5, 6)


def test_a_venue_of_which_one_answer_fails_is_missing_as_a_whole(http: Http, upstream: str) -> None:
    fault(upstream, kind="status", status=500, path="binance-futures/fapi/v1/premiumIndex")
    told = venues(read(fetched(http, "open_interest")))
    assert "premiumIndex" in told["binance"]["missing"]
    assert "open_interest_usd" in told["binance-coin"]


def test_no_venue_that_answers_is_retriable(http: Http, upstream: str) -> None:
    fault(upstream, kind="status", status=503, count=None)
    with pytest.raises(Retriable, match=r"no venue answered: binance: .*503.*bitget: .*503"):
        fetched(http, "books")


def test_another_asset_is_refused(http: Http) -> None:
    with pytest.raises(Refused, match="cex/books/ETH"):
        next(cex.fetch(http, spec("books").model_copy(update={"name": "ETH"}), Window(None, wall())))


def test_a_slow_venue_does_not_hold_up_the_round() -> None:
    let_go, times = threading.Event(), []

    def now() -> datetime:
        times.append(threading.current_thread())
        return wall()

    def answer(handler: BaseHTTPRequestHandler, host: str) -> None:
        if host == "okx":
            let_go.wait(60)
        send(handler, json.dumps(BOOKS[host][0]).encode())

    with venue_server(answer) as url, at(lambda name: f"{url}/{name}", now) as http:
        said = ask(http, VENUES, 3)
        late = [thread for thread in threading.enumerate() if thread.name.startswith("venue")]
        assert not let_go.is_set()  # it has not answered to this moment
        assert said["okx"] == {"error": "no answer within 3 seconds"}
        assert all(isinstance(said[name], list) for name in BOOKS if name != "okx")
        asked_the_time = len(times)
        let_go.set()
        for thread in late:
            thread.join(timeout=30)
            assert not thread.is_alive()
        assert len(times) == asked_the_time  # the store's connection is in other hands by then


def test_an_answer_that_trickles_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "BRIEF_SECONDS", 0.3)

    def answer(handler: BaseHTTPRequestHandler, host: str) -> None:
        if host != "okx":
            return send(handler, json.dumps(BOOKS[host][0]).encode())
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" " * 4096)
        except OSError:  # the client has gone
            return None

    with (
        venue_server(answer) as url,
        at(lambda name: f"{url}/{name}", wall) as http,
        http.at("okx", wall) as okx,
        pytest.raises(Retriable, match=r"no answer \(not whole after 0\.3 seconds\)"),
    ):
        okx.get("api/v5/market/books-full", {})


def test_a_host_that_is_left_alone_is_a_missing_venue(dsn: str, upstream: str) -> None:
    clear_faults(upstream)
    circuits = {name: Circuit(dsn, "cex", name) for name in ("okx", "kraken")}
    circuits["okx"].pause("it asked for patience", 60)
    with at(lambda name: f"{upstream}/cex/{name}", Wall(NOW), circuits) as http:
        told = venues(read(fetched(http, "books")))
        with pytest.raises(CircuitOpen), http.at("okx", wall) as okx:
            okx.get("api/v5/market/books-full", {})
    assert "okx (cex) is not asked before" in told["okx"]["missing"]
    assert "it asked for patience" in told["okx"]["missing"]
    assert "mid" in told["kraken"]


def test_a_host_that_refuses_opens_its_own_circuit_alone(dsn: str, upstream: str) -> None:
    clear_faults(upstream)
    fault(upstream, kind="status", status=403, path="bybit/v5")
    circuits = {name: Circuit(dsn, "cex", name) for name in ("okx", "bybit")}
    with at(lambda name: f"{upstream}/cex/{name}", Wall(NOW), circuits) as http:
        fetched(http, "books")
        again = venues(read(fetched(http, "books")))
    assert "bybit (cex) is not asked before" in again["bybit"]["missing"]
    assert "mid" in again["okx"]
