"""The way from a source to its raw table: fetch, land, parse, load, one series at a time."""

from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import CatalogError, SettingsError, SourceError
from feature_store.settings import Settings
from feature_store.sources.budget import limiter
from feature_store.sources.contract import Window
from feature_store.sources.http import Http
from feature_store.warehouse.landing import Counts, Place, land, load, record_failure

OVERLAP = timedelta(days=3)
"""The live tail reads again what became available this long before the last complete run."""

NO_KEY = "0" * 32
"""Sent to the replay server, which asks for the form of a key and not for a right one."""


def tail(conn: psycopg.Connection, place: Place, series: SeriesSpec) -> Window:
    """What the live tail asks for: from shortly before the end of the last complete run; everything at first."""
    row = conn.execute(
        "select complete_until from ops.stream_progress where source = %s and stream = %s and series = %s",
        (place.slug, place.stream, series.name),
    ).fetchone()
    return Window(since=row[0] - OVERLAP if row else None, until=clock.now(conn))


def ingest(
    conn: psycopg.Connection,
    catalog: Catalog,
    settings: Settings,
    series: SeriesSpec,
    window: Window | None = None,
    run_id: str = "manual",
) -> Counts:
    """Fetch and load one series; without a window, its live tail. Answers that arrived stay, whatever fails later.

    Raises SourceError (Refused, Retriable, Malformed) after recording the failure, CatalogError when the source has
    no connector, SettingsError when a credential is missing.
    """
    place = _place(catalog, series)
    asked = window or tail(conn, place, series)
    conn.commit()
    connector = _connector(catalog, place.slug)
    total = Counts()
    with _http(catalog, settings, connector, place.slug) as http:
        answers = connector.fetch(http, series, asked)
        while True:
            try:
                payload = next(answers, None)
            except SourceError as error:
                record_failure(conn, place, error, _now(conn), run_id)
                raise
            if payload is None:
                break
            fetch_id = land(conn, place, payload, _now(conn), run_id)
            total += load(conn, place, series, fetch_id, connector.parse(payload))
    if window is None:
        _complete(conn, place, series, asked.until)
    return total


def _now(conn: psycopg.Connection) -> datetime:
    """The store's now, with no transaction left open: what follows has to commit, not to nest."""
    now = clock.now(conn)
    conn.commit()
    return now


def _place(catalog: Catalog, series: SeriesSpec) -> Place:
    zone = catalog.source(series.source_slug).streams[series.stream].zone
    return Place(series.source_slug, series.stream, zone or "UTC", series.revises == "vintages")


def _connector(catalog: Catalog, slug: str) -> ModuleType:
    if not catalog.connected(slug):
        raise CatalogError(f"source {slug!r} has no connector yet: there is no module feature_store.sources.{slug}")
    return import_module(f"feature_store.sources.{slug}")


def _http(catalog: Catalog, settings: Settings, connector: ModuleType, slug: str) -> Http:
    source = catalog.source(slug)
    base_url = f"{settings.replay_url}/{slug}" if settings.upstream == "replay" else source.base_url
    assert base_url is not None
    secrets = {name: _credential(settings, variable) for name, variable in connector.SECRET_PARAMS.items()}
    return Http(base_url, limiter(settings.postgres_dsn, slug, source.rate_limit), secrets)


def _credential(settings: Settings, variable: str) -> str:
    secret = getattr(settings, variable.lower())
    if secret is not None:
        return str(secret.get_secret_value())
    if settings.upstream == "replay":
        return NO_KEY
    raise SettingsError(f"{variable} is not set, and FEATURE_STORE_UPSTREAM=live needs it: set it and start again")


def _complete(conn: psycopg.Connection, place: Place, series: SeriesSpec, until: datetime) -> None:
    conn.execute(
        """insert into ops.stream_progress as p (source, stream, series, complete_until) values (%s, %s, %s, %s)
           on conflict (source, stream, series)
           do update set complete_until = greatest(p.complete_until, excluded.complete_until)""",
        (place.slug, place.stream, series.name, until),
    )
    conn.commit()
