"""Requests are tried again when that may help, not otherwise, and not for ever."""

import threading
from time import monotonic

import pytest
from feature_store_client import (
    AuthenticationError,
    ConnectionFailed,
    FeatureStore,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    TimedOut,
    UnexpectedAnswer,
)

from feature_store.stack.ports import free_port
from tests.api.served import PRICE, Served

from .conftest import Ask
from .flaky import Flaky


@pytest.mark.parametrize("fault", ["503", "502", "504", "503 after 0", "429 after 0", "drop", "lose", "cut"])
def test_a_fault_that_passes_is_not_seen(client: Ask, flaky: Flaky, store: Served, fault: str) -> None:
    flaky.faults = [fault, fault]
    table = client(flaky.url, store.key, "query_arrow", PRICE)
    assert table.num_rows == 59
    assert len(flaky.seen) == 3


@pytest.mark.parametrize(("fault", "error"), [("500", ServerError), ("401", AuthenticationError), ("404", Exception)])
def test_what_trying_again_does_not_mend_is_tried_once(
    client: Ask, flaky: Flaky, store: Served, fault: str, error: type[Exception]
) -> None:
    flaky.faults = [fault]
    with pytest.raises(error, match=f"HTTP {fault}"):
        client(flaky.url, store.key, "get_latest_feature_points")
    assert len(flaky.seen) == 1


def test_retry_after_is_obeyed(flaky: Flaky, store: Served) -> None:
    flaky.faults = ["429 after 1"]
    began = monotonic()
    with FeatureStore(flaky.url, store.key) as client:
        client.get_latest_feature_points()
    assert monotonic() - began >= 1


def test_more_patience_than_there_is_is_told_at_once(client: Ask, flaky: Flaky, store: Served) -> None:
    flaky.faults = ["429 after 600"]
    with pytest.raises(RateLimited) as raised:
        client(flaky.url, store.key, "get_latest_feature_points")
    assert raised.value.retry_after == 600
    assert len(flaky.seen) == 1


def test_attempts_are_bounded(flaky: Flaky, store: Served) -> None:
    flaky.faults = ["503 after 0"] * 9
    with FeatureStore(flaky.url, store.key, attempts=3) as client, pytest.raises(ServiceUnavailable):
        client.get_latest_feature_points()
    assert len(flaky.seen) == 3


def test_an_address_where_nobody_listens_is_named(client: Ask, store: Served) -> None:
    with pytest.raises(ConnectionFailed, match="does the store run at that address"):
        client(f"http://127.0.0.1:{free_port()}", store.key, "get_latest_feature_points", [PRICE])


def test_a_page_of_somebody_else_is_no_answer(client: Ask, flaky: Flaky, store: Served) -> None:
    flaky.faults = ["html"]
    with pytest.raises(UnexpectedAnswer, match="text/html"):
        client(flaky.url, store.key, "get_latest_feature_points")


def test_an_answer_that_does_not_come_times_out(store: Served, hole: str) -> None:
    with FeatureStore(hole, store.key, timeout=0.05, attempts=2) as client, pytest.raises(TimedOut, match="timeout"):
        client.get_latest_feature_points()


def test_one_client_serves_many_threads(flaky: Flaky, store: Served) -> None:
    found: list[int] = []
    with FeatureStore(flaky.url, store.key) as client:
        threads = [
            threading.Thread(target=lambda: found.append(len(client.query_feature_points(PRICE)))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [59] * 8
