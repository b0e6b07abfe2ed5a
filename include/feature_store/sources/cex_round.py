"""Asking many hosts at once, without waiting for the slowest."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

from feature_store.errors import Retriable, SourceError
from feature_store.sources.cex_venue import Venue
from feature_store.sources.contract import Payload
from feature_store.sources.http import Http


def ask(http: Http, venues: Sequence[Venue], deadline: float) -> dict[str, Any]:
    """By the names of the venues, their answers or `error`, why there are none; after `deadline` seconds at most.

    Each question has a thread and connections of its own; one that is late ends with its own time-out, heard by
    nobody. Raises Retriable when no venue answered, WarehouseError when the database of budget and circuits is away.
    """
    clock = _Clock(http.now)
    asked: dict[str, list[Future[Payload]]] = {}
    executor = ThreadPoolExecutor(sum(len(venue.asks) for venue in venues), thread_name_prefix="venue")
    try:
        for venue in venues:
            asked[venue.name] = [executor.submit(_ask, http, venue.host, clock, *each) for each in venue.asks]
        done = wait([future for futures in asked.values() for future in futures], deadline).done
    finally:
        clock.stop()
        executor.shutdown(wait=False, cancel_futures=True)
    said = {name: _said(futures, done, deadline) for name, futures in asked.items()}
    errors = {name: answer["error"] for name, answer in said.items() if isinstance(answer, dict)}
    if len(errors) == len(said):
        raise Retriable(f"no venue answered: {'; '.join(f'{name}: {why}' for name, why in errors.items())}")
    return said


class _Clock:
    """The store's clock for the threads of a round. When the round is over none of them gets through any more to the
    database connection behind it, which by then is in the middle of something else."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._lock, self._is_over = now, threading.Lock(), False

    def __call__(self) -> datetime:
        with self._lock:
            if self._is_over:
                raise Retriable("the round is over")
            return self._now()

    def stop(self) -> None:
        with self._lock:
            self._is_over = True


def _ask(http: Http, host: str, clock: _Clock, path: str, params: Mapping[str, str]) -> Payload:
    with http.at(host, clock) as there:
        return there.get(path, params)


def _said(futures: list[Future[Payload]], done: set[Future[Payload]], deadline: float) -> Any:
    """A venue's answers, or the first reason why it has not given them all."""
    if not done.issuperset(futures):
        return {"error": f"no answer within {deadline:g} seconds"}
    try:
        answers = [future.result() for future in futures]
    except SourceError as error:
        return {"error": str(error)}
    return [
        {
            "url": answer.url,
            "status": answer.status,
            "elapsed_ms": answer.elapsed_ms,
            "fetched_at": answer.fetched_at.isoformat(),
            "body": answer.content.decode("utf-8", "surrogateescape"),
        }
        for answer in answers
    ]
