"""The history of snapshot streams, which arises only by living through it: a new store lives through its last day."""

from datetime import datetime, timedelta

import psycopg

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.pipeline.simulate import Note, steps, without_budgets
from feature_store.pipeline.streams import ingest_stream
from feature_store.settings import Settings
from feature_store.warehouse.landing import WALKED, Place
from feature_store.warehouse.loading import Counts

SPAN, STEP = timedelta(hours=24), timedelta(minutes=30)

WALK = Place("clock", "walk", "UTC")
"""Under which name ops.window_progress notes the walk; its series is the mode in which the clock ran."""


def is_new(conn: psycopg.Connection) -> bool:
    """Whether the store may still live through past days: no point was ever ingested."""
    row = conn.execute("select not exists (select from ops.feature_writes where last_ingested_at is not null)")
    return row.fetchone() == (True,)


def walk_snapshots(
    conn: psycopg.Connection, catalog: Catalog, settings: Settings, note: Note = lambda *_: None
) -> Counts:
    """Ask the replay server for every snapshot stream at each step of the last day; once in a store's life.

    The clock ends where it was, running as it ran. Whoever is killed on the way leaves it in the past, with a note of
    where it belongs: the next call goes on from there. Raises SourceError when the replay server fails.
    """
    snapshots = [
        (slug, stream)
        for slug, stream in catalog.connected_streams
        if catalog.source(slug).streams[stream].history == "none"
    ]
    unhurried = without_budgets(catalog)
    mode, since, until, done_until = _begin(conn)
    instants = [at for at in steps(since, until, STEP) if done_until < at < until]
    counts = Counts()
    for number, at in enumerate(instants, start=1):
        clock.freeze(conn, at)
        for place in snapshots:
            arrived = ingest_stream(conn, unhurried, settings, place, run_id=WALKED)
            for failure in arrived.failures.values():
                raise failure
            counts += arrived.counts
        conn.execute("update ops.window_progress set done_until = %s where source = %s", (at, WALK.slug))
        conn.commit()
        note(at, number, len(instants))
    _put_back(conn, mode, until)
    return counts


def _begin(conn: psycopg.Connection) -> tuple[str, datetime, datetime, datetime]:
    """Mode and instant of the clock before the walk, and how far an earlier call came."""
    was = clock.show(conn)
    conn.execute(
        """insert into ops.window_progress (source, stream, series, since, until, done_until)
           select %(source)s, %(stream)s, %(mode)s, %(since)s, %(now)s, %(since)s
           where not exists (select from ops.window_progress where source = %(source)s)""",
        {"source": WALK.slug, "stream": WALK.stream, "mode": was.mode, "since": was.now - SPAN, "now": was.now},
    )
    row = conn.execute(
        "select series, since, until, done_until from ops.window_progress where source = %s", (WALK.slug,)
    ).fetchone()
    conn.commit()
    assert row is not None
    return row


def _put_back(conn: psycopg.Connection, mode: str, until: datetime) -> None:
    if mode == "real":
        clock.release(conn)
    elif mode == "frozen":
        clock.freeze(conn, until)
    else:
        clock.set_running(conn, until)
    conn.execute("delete from ops.window_progress where source = %s", (WALK.slug,))
    conn.commit()
