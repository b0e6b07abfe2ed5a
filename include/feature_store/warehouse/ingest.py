"""The way from a source to its raw table: fetch, land, read, load; one series at a time, chunk by chunk."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from types import ModuleType
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from feature_store import clock
from feature_store.catalog import Catalog, Stream
from feature_store.catalog.contracts import SeriesSpec, Source
from feature_store.errors import (
    CatalogError,
    CircuitOpen,
    Malformed,
    OutOfReach,
    SettingsError,
    SourceDisabled,
    SourceError,
)
from feature_store.settings import Settings
from feature_store.sources.budget import limiter
from feature_store.sources.circuit import Circuit
from feature_store.sources.contract import Block, Payload, Row, Window
from feature_store.sources.http import Host, Http, OwnAddress
from feature_store.warehouse.connection import connect
from feature_store.warehouse.landing import Place, land, record_failure
from feature_store.warehouse.loading import Counts, load
from feature_store.warehouse.reading import Answer, read
from feature_store.warehouse.windows import chunks, mark_complete, mark_done, note_gap, oldest, resume, tail

logger = logging.getLogger(__name__)

MANY_ROWS = 200

NO_KEY = "0" * 32
"""Sent to the replay server, which asks for the form of a key and not for a right one."""


def ingest(
    conn: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    series: SeriesSpec,
    window: Window | None = None,
    run_id: str = "manual",
) -> Counts:
    """Fetch and load one series: its live tail, or a window of its history, chunk by chunk, oldest first.

    Answers that arrived stay, whatever fails later; who is killed goes on where the last whole chunk ended. While a
    chunk is loaded, on a connection of its own, the next one is fetched and read.
    Raises SourceError (Refused, Retriable, Malformed) after recording the failure, OutOfReach when the source does not
    answer for the window, CatalogError when it has no connector, SourceDisabled when live mode lacks a key of it.
    """
    source = catalog.source(series.source_slug)
    if reason := settings.why_disabled(source.id, source.credentials):
        raise SourceDisabled(reason)
    stream = source.streams[series.stream]
    place = Place(source.slug, series.stream, stream.zone or "UTC")
    connector = connector_of(catalog, source.slug)
    now = _now(conn)
    asked = _within_reach(series, stream, window, now) if window else tail(conn, place, series.name, stream, now)
    if window:
        left = resume(conn, place, series.name, asked)
    else:
        left = asked
        note_gap(conn, place, series.name, stream, asked)
    conn.commit()
    plan = list(chunks(left, stream))
    with (
        _http(settings, connector, source, stream, lambda: _now(conn)) as http,
        connect(settings.postgres_dsn) if len(plan) > 1 else nullcontext(conn) as beside,
        ThreadPoolExecutor(1) as executor,
    ):
        lander = Lander(conn, place, series, run_id, http.redact)
        loader = Loader(beside, place, series, asked, is_tail=window is None)
        loading: deque[Future[None]] = deque()
        failure: SourceError | None = None
        for chunk in plan:
            answers, failure = lander.take(connector.fetch(http, series, chunk), connector.parse)
            loading.append(executor.submit(loader.load, answers, None if failure else chunk.until))
            if failure is not None:
                break
            if len(loading) > 1:
                loading.popleft().result()
        for loaded in loading:
            loaded.result()
        if failure is not None:
            raise failure
    if loader.total.loaded > MANY_ROWS:
        # The transform reads right after a bulk load, long before autovacuum would tell the planner about it.
        conn.execute(sql.SQL("analyze {}").format(place.table))
        conn.commit()
    return loader.total


@dataclass(frozen=True)
class Lander:
    """Lands the answers of one series as they arrive, and reads them.

    Errors quote the source, which may repeat a key: they go through `redact`.
    """

    conn: psycopg.Connection
    place: Place
    series: SeriesSpec
    run_id: str
    redact: Callable[[str], str]

    def take(
        self, payloads: Iterator[Payload], parse: Callable[[Payload], Iterable[Row | Block]]
    ) -> tuple[list[Answer], SourceError | None]:
        """What was read, and why fetching failed if it did: what arrived before stays."""
        answers: list[Answer] = []
        landed: Payload | None = None
        while True:
            try:
                payload = next(payloads, None)
            except CircuitOpen as error:  # nothing was asked, so there is nothing to record
                return answers, error
            except Malformed as error:
                self._redact(error)
                if error.payload is not None and error.payload is not landed:  # fetching read it before it gave it
                    answers.append(Answer(self._land(error.payload), error=error))
                elif answers and answers[-1].error is None:  # its rows can be read, and still it is not to be trusted
                    answers[-1] = Answer(answers[-1].fetch_id, error=error)
                return answers, error
            except SourceError as error:
                self._redact(error)
                record_failure(self.conn, self.place, self.series.name, error, _now(self.conn), self.run_id)
                return answers, error
            if payload is None:
                return answers, None
            landed = payload
            answers.append(read(self.series, self.place.zone, self._land(payload), parse(payload)))
            self._redact(answers[-1].error)

    def _land(self, payload: Payload) -> int:
        return land(self.conn, self.place, self.series.name, payload, self.run_id)

    def _redact(self, error: SourceError | None) -> None:
        if error is not None:
            error.args = (self.redact(str(error)),)


@dataclass
class Loader:
    """Loads chunk after chunk of one series and remembers how far it came. After a failure it marks nothing more."""

    conn: psycopg.Connection
    place: Place
    series: SeriesSpec
    asked: Window
    is_tail: bool
    total: Counts = field(default_factory=Counts)
    has_failed: bool = False

    def load(self, answers: list[Answer], done_until: datetime | None) -> None:
        """Load one chunk's answers; the chunk is whole up to `done_until`, unless that is None.

        Raises Malformed when an answer was rejected; the others are loaded.
        """
        try:
            self.total += load(self.conn, self.place, self.series, answers)
            for answer in answers:
                if answer.error is not None:
                    raise answer.error
        except BaseException:
            self.has_failed = True
            raise
        if done_until is None or self.has_failed:
            return
        if self.is_tail:
            mark_complete(self.conn, self.place, self.series.name, done_until)
        else:
            mark_done(self.conn, self.place, self.series.name, self.asked, done_until)
        self.conn.commit()
        logger.info("%s is loaded up to %s of %s: %s", _name(self.series), done_until, self.asked.until, self.total)


def connector_of(catalog: Catalog, slug: str) -> ModuleType:
    """The module that fetches and parses a source; raises CatalogError when there is none yet."""
    if not catalog.connected(slug):
        raise CatalogError(f"source {slug!r} has no connector yet: there is no module feature_store.sources.{slug}")
    return import_module(f"feature_store.sources.{slug}")


def _within_reach(series: SeriesSpec, stream: Stream, window: Window, now: datetime) -> Window:
    """The part of a window that the source answers for; raises OutOfReach when that is none of it."""
    if stream.history == "none":
        raise OutOfReach(f"{_name(series)} answers only for now: its history arises by living through it")
    since, until = window.since, min(window.until, now)
    reach = oldest(stream, now)
    if reach is not None:
        if window.until <= reach:
            raise OutOfReach(f"{_name(series)} answers only for its last days, from {reach} on")
        since = max(since, reach) if since else reach
    if since is not None and since >= until:
        raise OutOfReach(f"{_name(series)}: the window starts at {since}, and now is {now}")
    return Window(since, until)


def _now(conn: psycopg.Connection) -> datetime:
    """The store's now, with no transaction left open: what follows has to commit, not to nest."""
    now = clock.now(conn)
    conn.commit()
    return now


def _name(series: SeriesSpec) -> str:
    return f"{series.source_slug}/{series.stream}/{series.name}"


def _http(
    settings: Settings, connector: ModuleType, source: Source, stream: Stream, now: Callable[[], datetime]
) -> Http:
    address = stream.base_url or source.base_url
    replayed = f"{settings.replay_url}/{source.slug}" if settings.upstream == "replay" else None

    def circuit(root: str | None) -> Circuit:
        # The host of an address that the user brings is as secret as the address.
        return Circuit(settings.postgres_dsn, source.slug, str(urlsplit(root).hostname) if root else source.slug)

    hosts = {
        name: Host(f"{replayed}/{name}" if replayed else root, circuit(root)) for name, root in source.hosts.items()
    }
    return Http(
        replayed or address or _own_address(settings, source),
        limiter(settings.postgres_dsn, source.slug, source.rate_limit),
        {name: _credential(settings, variable) for name, variable in connector.SECRET_PARAMS.items()},
        now,
        circuit(address),
        stream.used_weight,
        hosts,
    )


def _own_address(settings: Settings, source: Source) -> str | OwnAddress:
    """The address that the user brings to a source without one; nothing where the source has many hosts."""
    if source.hosts:
        return ""
    setting = source.credentials[0]
    brought = OwnAddress(setting, _credential(settings, setting))
    if not brought.is_whole():
        raise SettingsError(f"{setting} is no address: it starts with https:// or http:// and names a host")
    return brought


def _credential(settings: Settings, variable: str) -> str:
    secret = getattr(settings, variable.lower())
    if secret is not None:
        return str(secret.get_secret_value())
    assert settings.upstream == "replay", "what live mode lacks disables the source before"
    return NO_KEY
