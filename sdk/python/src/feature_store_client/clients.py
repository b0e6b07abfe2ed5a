"""The clients: one blocks, one awaits. Each only runs flows; the verbs are in the modules they are named from."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args

import httpx
import stamina

from feature_store_client import asking, joining, reading, writing
from feature_store_client.connecting import ALL_ATTEMPTS_SECONDS, Connection, patience
from feature_store_client.problems import lost, require_success
from feature_store_client.wire import Answer, Flow, Item, Request, Stream, resumed

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def _blocking(flow: Callable[P, Flow[T]]) -> "Callable[Concatenate[FeatureStore, P], T]":
    @wraps(flow)
    def verb(self: "FeatureStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(flow(*args, **kwargs))

    return _method(verb, flow)


def _awaiting(flow: Callable[P, Flow[T]]) -> "Callable[Concatenate[AsyncFeatureStore, P], Coroutine[Any, Any, T]]":
    @wraps(flow)
    async def verb(self: "AsyncFeatureStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(flow(*args, **kwargs))

    return _method(verb, flow)


def _iterating(stream: Callable[P, Stream[T]]) -> "Callable[Concatenate[FeatureStore, P], Iterator[T]]":
    @wraps(stream)
    def verb(self: "FeatureStore", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._each(stream(*args, **kwargs))

    return _method(verb, stream)


def _aiterating(stream: Callable[P, Stream[T]]) -> "Callable[Concatenate[AsyncFeatureStore, P], AsyncIterator[T]]":
    @wraps(stream)
    def verb(self: "AsyncFeatureStore", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._each(stream(*args, **kwargs))

    return _method(verb, stream)


def _method(verb: F, flow: Callable[..., Any]) -> F:
    """The verb, with the signature that help() shows: of the flow, but for self and what the flow is wrapped in."""
    plain = inspect.signature(flow)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    told = next(iter(get_args(plain.return_annotation)[2:]), inspect.Signature.empty)
    signature = plain.replace(parameters=[itself, *plain.parameters.values()], return_annotation=told)
    verb.__signature__ = signature  # type: ignore[attr-defined]
    return verb


class FeatureStore:
    """The store, over its REST API. For any number of threads; `close` it, or use it as a context manager.

    `url` and `api_key` come from FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY where they are absent. `timeout` is in
    seconds, for the store to say anything. Lost connections, 429, 502, 503 and 504 are tried again, `attempts` times
    in all, and at Retry-After where the store names it.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout: float = 60.0, attempts: int = 6
    ) -> None:
        self._connection = Connection.of(url, api_key, timeout, attempts)
        self._http = httpx.Client(
            base_url=self._connection.url, headers=self._connection.headers, timeout=self._connection.timeout
        )

    get_catalog = _blocking(asking.get_catalog)
    get_feature_spec = _blocking(asking.get_feature_spec)
    write_feature_points = _blocking(writing.write_feature_points)
    query_feature_points = _blocking(reading.query_feature_points)
    query_arrow = _blocking(reading.query_arrow)
    query_pandas = _blocking(reading.query_pandas)
    iter_arrow_batches = _iterating(reading.iter_arrow_batches)
    get_latest_feature_point = _blocking(asking.get_latest_feature_point)
    get_latest_feature_points = _blocking(asking.get_latest_feature_points)
    historical = _blocking(joining.historical)
    historical_arrow = _blocking(joining.historical_arrow)
    historical_pandas = _blocking(joining.historical_pandas)
    revisions = _blocking(asking.revisions)
    explain = _blocking(asking.explain)
    download_payload = _blocking(asking.download_payload)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FeatureStore({str(self._connection.url)!r})"

    def _run(self, flow: Flow[T]) -> T:
        with closing(flow):
            try:
                request = next(flow)
                while True:
                    request = flow.send(self._send(request))
            except StopIteration as end:
                told: T = end.value
                return told

    def _each(self, stream: Stream[T]) -> Iterator[T]:
        with closing(stream):
            step = resumed(stream)
            while step is not None:
                if isinstance(step, Item):
                    yield step.value
                    step = resumed(stream)
                else:
                    step = resumed(stream, self._send(step))

    def _send(self, request: Request) -> Answer:
        for attempt in stamina.retry_context(
            on=patience, attempts=self._connection.attempts, timeout=ALL_ATTEMPTS_SECONDS
        ):
            with attempt:
                return require_success(self._exchange(request))
        raise AssertionError

    def _exchange(self, request: Request) -> Answer:
        try:
            response = self._http.send(self._connection.request(self._http, request))
            return Answer(response.status_code, response.headers, response.content)
        except httpx.HTTPError as error:
            failure = lost(request, error)
        # Not while the other one is handled: its frames hold the headers.
        raise failure


class AsyncFeatureStore:
    """As FeatureStore, with verbs to await."""

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout: float = 60.0, attempts: int = 6
    ) -> None:
        self._connection = Connection.of(url, api_key, timeout, attempts)
        self._http = httpx.AsyncClient(
            base_url=self._connection.url, headers=self._connection.headers, timeout=self._connection.timeout
        )

    get_catalog = _awaiting(asking.get_catalog)
    get_feature_spec = _awaiting(asking.get_feature_spec)
    write_feature_points = _awaiting(writing.write_feature_points)
    query_feature_points = _awaiting(reading.query_feature_points)
    query_arrow = _awaiting(reading.query_arrow)
    query_pandas = _awaiting(reading.query_pandas)
    iter_arrow_batches = _aiterating(reading.iter_arrow_batches)
    get_latest_feature_point = _awaiting(asking.get_latest_feature_point)
    get_latest_feature_points = _awaiting(asking.get_latest_feature_points)
    historical = _awaiting(joining.historical)
    historical_arrow = _awaiting(joining.historical_arrow)
    historical_pandas = _awaiting(joining.historical_pandas)
    revisions = _awaiting(asking.revisions)
    explain = _awaiting(asking.explain)
    download_payload = _awaiting(asking.download_payload)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncFeatureStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncFeatureStore({str(self._connection.url)!r})"

    async def _run(self, flow: Flow[T]) -> T:
        with closing(flow):
            try:
                request = next(flow)
                while True:
                    request = flow.send(await self._send(request))
            except StopIteration as end:
                told: T = end.value
                return told

    async def _each(self, stream: Stream[T]) -> AsyncIterator[T]:
        with closing(stream):
            step = resumed(stream)
            while step is not None:
                if isinstance(step, Item):
                    yield step.value
                    step = resumed(stream)
                else:
                    step = resumed(stream, await self._send(step))

    async def _send(self, request: Request) -> Answer:
        async for attempt in stamina.retry_context(
            on=patience, attempts=self._connection.attempts, timeout=ALL_ATTEMPTS_SECONDS
        ):
            with attempt:
                return require_success(await self._exchange(request))
        raise AssertionError

    async def _exchange(self, request: Request) -> Answer:
        try:
            response = await self._http.send(self._connection.request(self._http, request))
            return Answer(response.status_code, response.headers, response.content)
        except httpx.HTTPError as error:
            failure = lost(request, error)
        raise failure
