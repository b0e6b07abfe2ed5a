"""The client over a served store; what `ask` runs, runs with the blocking client and with the awaiting one."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from inspect import isawaitable
from typing import Any

import pytest
from feature_store_client import AsyncFeatureStore, FeatureStore

from tests.api.conftest import store as store  # noqa: PLC0414 - a fixture
from tests.api.served import Served

from .flaky import Flaky, flaky_before

Ask = Callable[..., Any]


def blocking(url: str, key: str, verb: str, *args: Any, **asked: Any) -> Any:
    """What a verb of the blocking client answers; a list of what it iterates over."""
    with FeatureStore(url, key, timeout=20, attempts=3) as client:
        found = getattr(client, verb)(*args, **asked)
        return list(found) if verb.startswith("iter_") else found


def awaiting(url: str, key: str, verb: str, *args: Any, **asked: Any) -> Any:
    """The same of the awaiting client."""

    async def ask() -> Any:
        async with AsyncFeatureStore(url, key, timeout=20, attempts=3) as client:
            found = getattr(client, verb)(*args, **asked)
            return await found if isawaitable(found) else [each async for each in found]

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, awaiting])
def client(request: pytest.FixtureRequest) -> Ask:
    """One client or the other: takes an address, a key, a verb and what it is asked."""
    run: Ask = request.param
    return run


@pytest.fixture
def ask(client: Ask, store: Served) -> Ask:
    """Asks the store a verb."""
    return lambda verb, *args, **asked: client(store.url, store.key, verb, *args, **asked)


@pytest.fixture
def flaky(store: Served) -> Iterator[Flaky]:
    """A server that spoils some answers of the store's."""
    with flaky_before(store.url) as flaky:
        yield flaky


@pytest.fixture
def hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
