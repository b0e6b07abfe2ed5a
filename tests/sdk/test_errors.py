"""Each problem of the store is an error of its own, and none shows the key."""

import io
import logging
import pickle
import traceback
from datetime import UTC, datetime, timedelta

import feature_store_client
import pytest
from feature_store_client import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    FeatureStore,
    FeatureStoreError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    PointsRejected,
    RateLimited,
    errors,
)
from feature_store_client.problems import _OF_SLUG
from rich.console import Console
from rich.traceback import Traceback

from feature_store.serving.api.problems import KINDS, Problem
from feature_store.stack.ports import free_port
from tests.api.served import NOW, PRICE, Served

from .conftest import Ask
from .flaky import Flaky


def test_every_problem_of_the_store_has_its_error() -> None:
    ours = {slug for slug, kind in KINDS.items() if kind.status not in (405, 406, 415)}
    assert ours == set(_OF_SLUG)
    assert Problem("internal", "x").kind.status == 500


def test_every_error_is_in_the_tree_and_can_be_imported() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert all(issubclass(each, FeatureStoreError) for each in kinds)
    assert {each.__name__ for each in kinds} <= set(feature_store_client.__all__)
    for each in kinds:
        assert f"{each.__name__} " in (errors.__doc__ or "") or each is FeatureStoreError, "the docstring draws it"


def test_a_mistake_is_told_with_its_place_and_what_to_do(ask: Ask) -> None:
    with pytest.raises(InvalidRequest) as raised:
        ask("query_feature_points", PRICE, NOW, NOW - timedelta(days=1))
    error = raised.value
    assert (error.status, error.slug) == (422, "invalid-request")
    assert error.errors
    assert error.remedy in str(error)
    assert error.detail in str(error)
    assert error.request_id


def test_a_key_that_is_not_valid_or_lacks_the_scope_is_told(client: Ask, store: Served) -> None:
    with pytest.raises(AuthenticationError) as raised:
        client(store.url, "fs_aaaaaaaa_" + "x" * 43, "get_catalog")
    assert raised.value.slug == "invalid-key"
    with pytest.raises(PermissionDenied) as denied:
        client(store.url, store.key_with("publish"), "get_catalog")
    assert denied.value.slug == "missing-scope"


def test_a_point_that_is_not_there_is_not_found(ask: Ask) -> None:
    with pytest.raises(NotFound):
        ask("explain", PRICE, datetime(2001, 1, 1, tzinfo=UTC))


def test_a_limit_says_when_to_come_again(client: Ask, store: Served, flaky: Flaky) -> None:
    key = store.key_with("read", rate_limit_rpm=1)
    client(store.url, key, "get_catalog")
    flaky.faults = ["429 after 600"]
    with pytest.raises(RateLimited) as raised:
        client(flaky.url, key, "get_catalog")
    assert raised.value.retry_after == 600


def test_errors_can_go_from_one_process_to_another() -> None:
    error = PointsRejected("no", {"status": 422, "slug": "points-failed", "errors": [1]})
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.status, there.errors) == (PointsRejected, "no", 422, [1])


def test_address_and_key_come_from_the_environment(store: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURE_STORE_API_URL", store.url + "/")
    monkeypatch.setenv("FEATURE_STORE_API_KEY", store.key + "\n")
    with FeatureStore() as client:
        assert client.get_catalog(search="vix")


@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        (None, "k", "FEATURE_STORE_API_URL"),
        ("http://h", None, "FEATURE_STORE_API_KEY"),
        ("127.0.0.1:18000", "k", "http"),
        ("http://user:secret@h", "k", "nothing else"),
        ("http://h/?a=1", "k", "nothing else"),
        ("http://h", "fs_ä", "characters"),
        ("http://h", "fs_a\nb", "characters"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, url: str | None, key: str | None, words: str
) -> None:
    monkeypatch.delenv("FEATURE_STORE_API_URL", raising=False)
    monkeypatch.delenv("FEATURE_STORE_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=words) as raised:
        FeatureStore(url, key)
    assert "secret" not in str(raised.value)
    assert "fs_" not in str(raised.value)


def test_the_key_is_in_no_repr_log_or_traceback(store: Served, flaky: Flaky, caplog: pytest.LogCaptureFixture) -> None:
    shown = io.StringIO()
    with caplog.at_level(logging.DEBUG):
        for url in (store.url, flaky.url, f"http://127.0.0.1:{free_port()}"):
            flaky.faults = ["cut", "drop"]
            with FeatureStore(url, "fs_aaaaaaaa_" + "S" * 43, attempts=2) as client:
                with pytest.raises((AuthenticationError, ConnectionFailed)) as raised:
                    client.get_catalog()
                shown.write(repr(client) + repr(vars(client)))
            _show(raised.value, shown)
    shown.write(caplog.text)
    assert "ConnectionFailed" in shown.getvalue()
    assert "SSSS" not in shown.getvalue()


def _show(error: Exception, shown: io.StringIO) -> None:
    """Whatever may be told of an error: the variables of every frame but the test's own."""
    assert error.__context__ is None
    assert error.__traceback__ is not None
    traceback.print_exception(error, file=shown)
    frames = error.__traceback__.tb_next
    told = Traceback.from_exception(type(error), error, frames, show_locals=True, locals_max_string=None)
    Console(file=shown, width=500).print(told)
    shown.write(repr(vars(error)))
