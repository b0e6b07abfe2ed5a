"""Reading stored answers again, after a parser was mended: times stay as they were frozen, errors are corrected."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

import psycopg

from feature_store.catalog import Catalog
from feature_store.errors import BytesExpired
from feature_store.sources.contract import Payload
from feature_store.warehouse.ingest import connector_of
from feature_store.warehouse.landing import Place
from feature_store.warehouse.loading import Counts, load
from feature_store.warehouse.reading import read

ReadBytes = Callable[[str], bytes]
"""Gives the bytes of a payload by its sha256, wherever they lie now."""

ANSWERS_AT_ONCE = 20

_FETCHES = """
select fetch_id, stream, series from raw.fetches
where source = %(source)s and sha256 is not null and outcome <> 'failed' and series is not null
  and (%(since)s::timestamptz is null or fetched_at >= %(since)s)
  and (%(fetch_ids)s::bigint[] is null or fetch_id = any(%(fetch_ids)s))
order by stream, series, fetch_id
"""


@dataclass
class Reread:
    """What reading again came to: how many answers of how many, what became of their rows, what cannot be read."""

    total: int
    answers: int = 0
    counts: Counts = field(default_factory=Counts)
    unreadable: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    expired: int = 0
    """How many answers were left alone because their bytes have expired."""


def reread(
    conn: psycopg.Connection,
    catalog: Catalog,
    slug: str,
    read_bytes: ReadBytes,
    since: datetime | None = None,
    fetch_ids: list[int] | None = None,
) -> Iterator[Reread]:
    """Parse stored answers of a source again, those fetched since an instant (UTC), or certain fetches.

    Yields what it came to so far after every few answers, each of which is committed. A row that reads differently
    keeps its fetched_at and available_at; a point that the new reading lacks is taken back. Answers whose process died
    between landing and loading are loaded. Answers of a series that the catalog no longer has are left alone, and so
    are those whose bytes have expired: what was read of them stays. Any other error of `read_bytes` ends it, such as
    ArchiveError while S3 is away.
    """
    connector = connector_of(catalog, slug)
    fetches = conn.execute(_FETCHES, {"source": slug, "since": since, "fetch_ids": fetch_ids}).fetchall()
    conn.commit()
    found = Reread(total=len(fetches))
    for (stream, name), group in groupby(fetches, key=lambda fetch: (fetch[1], fetch[2])):
        ids = [fetch_id for fetch_id, *_ in group]
        spec = next((series for series in catalog.series(slug, stream) if series.name == name), None)
        if spec is None:
            found.left_alone.append(f"{len(ids)} answers of {slug}/{stream}/{name}, which the catalog does not have")
            continue
        place = Place(slug, stream, catalog.source(slug).streams[stream].zone or "UTC")
        expired_before = found.expired
        for start in range(0, len(ids), ANSWERS_AT_ONCE):
            some = ids[start : start + ANSWERS_AT_ONCE]
            answers = [
                read(spec, place.zone, fetch_id, connector.parse(payload))
                for fetch_id, payload in _payloads(conn, some, read_bytes)
            ]
            conn.commit()
            found.expired += len(some) - len(answers)
            found.counts += load(conn, place, spec, answers, is_rereading=True)
            found.answers += len(answers)
            found.unreadable += [f"fetch {answer.fetch_id}: {answer.error}" for answer in answers if answer.error]
            yield found
        if expired := found.expired - expired_before:
            found.left_alone.append(f"{expired} answers of {slug}/{stream}/{name}, whose bytes have expired")
    yield found


def _payloads(conn: psycopg.Connection, fetch_ids: list[int], read_bytes: ReadBytes) -> Iterator[tuple[int, Payload]]:
    """Those of the answers whose bytes have not expired, which they may do at any time."""
    for fetch_id in fetch_ids:
        try:
            payload = _payload(conn, fetch_id, read_bytes)
        except BytesExpired:
            continue
        yield fetch_id, payload


def _payload(conn: psycopg.Connection, fetch_id: int, read_bytes: ReadBytes) -> Payload:
    row = conn.execute(
        """select endpoint, url, params, status, content_type, elapsed_ms, fetched_at, context, sha256
           from raw.fetches where fetch_id = %s""",
        (fetch_id,),
    ).fetchone()
    assert row is not None
    endpoint, url, params, status, content_type, elapsed_ms, fetched_at, context, sha256 = row
    content = read_bytes(sha256)
    return Payload(endpoint, url, params, status, content_type or "", content, elapsed_ms, fetched_at, context)
