"""HTTP for connectors: patience, errors by what to do about them, and no key anywhere."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from feature_store.errors import Refused, Retriable, TooFast
from feature_store.sources import patience
from feature_store.sources.budget import unlimited
from feature_store.sources.circuit import Circuit
from feature_store.sources.http import Http, OwnAddress, _wait_for
from tests.faults import add_fault
from tests.replay.server import Wall, serving, write

from .upstream import Answer, Upstream, answering, wall

SECRET = "k" * 32


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    """A replayed FRED with one series."""
    write(tmp_path, "WALCL", "ts,value,available_at\n2024-01-03,1,2024-01-04T21:30:00Z\n")
    with serving(tmp_path, Wall("2024-03-01T12:00:00+00:00")) as url:
        yield url


@pytest.fixture
def http(upstream: str) -> Iterator[Http]:
    with Http(f"{upstream}/fred", unlimited(), {"api_key": SECRET}, wall) as client:
        yield client


ASKED = {"series_id": "WALCL", "file_type": "json"}


def test_an_answer_carries_its_request_but_no_secret(http: Http, upstream: str) -> None:
    payload = http.get("series", ASKED)
    assert payload.url == f"{upstream}/fred/series?series_id=WALCL&file_type=json"
    assert (payload.status, dict(payload.params)) == (200, ASKED)
    assert SECRET not in repr(payload)


def test_a_key_is_in_no_log_and_in_no_error(http: Http, upstream: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused) as refused:
        http.get("series", {**ASKED, "series_id": "NOPE"})
    http.get("series", ASKED)
    assert SECRET not in f"{refused.value!r}{caplog.text}"


def test_a_source_that_echoes_the_key_is_redacted(http: Http, upstream: str) -> None:
    fault = {"kind": "status", "status": 400, "message": f"api_key {SECRET} is odd"}
    add_fault(upstream, **fault)
    with pytest.raises(Refused, match=r"api_key \*\*\* is odd"):
        http.get("series", ASKED)


TOKEN, PASSWORD = "t0k3n", "pa55w0rd"


@pytest.fixture
def datafeed() -> Iterator[tuple[Upstream, Http]]:
    """A datafeed behind an address full of secrets."""
    with answering() as upstream:
        address = f"{upstream.url.replace('//', f'//me:{PASSWORD}@')}/udf/{TOKEN}/?session=s3ss10n"
        with Http(OwnAddress("DATAFEED_URL", address), unlimited(), {}, wall) as http:
            yield upstream, http


def is_untold(said: str) -> bool:
    return not any(secret in said for secret in (TOKEN, PASSWORD, "s3ss10n", "127.0.0.1", "/udf"))


def test_the_users_own_address_is_asked_and_told_nowhere(
    datafeed: tuple[Upstream, Http], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    payload = datafeed[1].get("history", {"symbol": "A:B"})
    assert datafeed[0].paths == [f"/udf/{TOKEN}/history?symbol=A%3AB&session=s3ss10n"]
    assert payload.url == "DATAFEED_URL/history?symbol=A%3AB"
    assert is_untold(f"{payload!r}{caplog.text}")


@pytest.mark.parametrize("echo", ["/udf/t0k3n/history", "http://me:pa55w0rd@127.0.0.1/", "?session=s3ss10n"])
def test_a_datafeed_that_echoes_its_address_is_redacted(datafeed: tuple[Upstream, Http], echo: str) -> None:
    datafeed[0].usual = Answer(404, body=f"there is no {echo}")
    with pytest.raises(Refused, match=r"DATAFEED_URL/history answered 404: there is no .*\*\*\*") as raised:
        datafeed[1].get("history", {})
    assert is_untold(f"{raised.value!r}")


def test_an_own_address_that_does_not_answer_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with answering() as upstream:
        gone = upstream.url
    own = OwnAddress("DATAFEED_URL", gone)
    with (
        Http(own, unlimited(), {}, wall) as http,
        stamina.set_testing(True, attempts=1),
        pytest.raises(Retriable, match="DATAFEED_URL/history: no answer") as raised,
    ):
        http.get("history", {})
    assert "127.0.0.1" not in f"{raised.value!r}{own!r}{caplog.text}"


@pytest.mark.parametrize("wrong", ["", "feed.example.com/udf", "ftp://feed.example.com", "https://", "https://a b:x"])
def test_an_address_that_cannot_be_asked_is_told_beforehand(wrong: str) -> None:
    assert not OwnAddress("DATAFEED_URL", wrong).is_whole()
    assert OwnAddress("DATAFEED_URL", "https://feed.example.com/udf").is_whole()


def test_what_may_pass_is_tried_again(http: Http, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SLOW_DOWN_SECONDS", 0.01)
    add_fault(upstream, kind="status", status=503, count=1)
    add_fault(upstream, kind="status", status=429, count=1)
    assert http.get("series", ASKED).status == 200


def test_patience_follows_the_source_and_doubles_where_it_says_nothing() -> None:
    assert _wait_for(TooFast("slow down", wait_seconds=7), 1) == 7
    assert [_wait_for(TooFast("slow down"), tries) for tries in (1, 2, 3)] == [20, 40, 80]
    assert _wait_for(TooFast("slow down", wait_seconds=86_400), 1) is False, "no attempt before its time"
    assert _wait_for(Retriable("busy", wait_seconds=7), 1) == 7
    assert _wait_for(Retriable("busy"), 1) is True
    assert _wait_for(Refused("no"), 1) is False


def test_processes_wait_as_long_as_the_source_asks_any_of_them_to(
    upstream: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as without a circuit, by way of the database."""
    monkeypatch.setattr(patience, "SLOW_DOWN_SECONDS", 0.01)
    add_fault(upstream, kind="status", status=503, count=1)
    add_fault(upstream, kind="status", status=429, count=1)
    circuit = Circuit(dsn, "fred", "api.stlouisfed.org")
    with Http(f"{upstream}/fred", unlimited(), {"api_key": SECRET}, wall, circuit) as client:
        assert client.get("series", ASKED).status == 200


@pytest.mark.parametrize("status", [403, 451])
def test_a_refused_address_is_not_tried_again(status: int) -> None:
    with answering() as source, Http(source.url, unlimited(), {}, wall) as client:
        source.usual = Answer(status)
        with pytest.raises(Refused, match=f"answered {status}.*from another address"):
            client.get("x", {})
        assert len(source.arrivals) == 1


def test_a_body_that_cannot_be_unpacked_is_no_answer() -> None:
    with (
        answering() as source,
        Http(source.url, unlimited(), {}, wall) as client,
        stamina.set_testing(True, attempts=1),
    ):
        source.usual = Answer(200, {"Content-Encoding": "gzip"}, "no gzip")
        with pytest.raises(Retriable, match="no answer"):
            client.get("x", {})
