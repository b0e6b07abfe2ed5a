"""What to ask a source for: the live tail, and windows of history in chunks that a killed load resumes."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from feature_store.catalog import Stream
from feature_store.sources.contract import Window
from feature_store.warehouse.landing import Place

logger = logging.getLogger(__name__)

EDGE = timedelta(minutes=10)
"""How far from the edge of a source's last days we stay: it moves on while we ask, and what lies beyond is refused."""


def oldest(stream: Stream, now: datetime) -> datetime | None:
    """From where a source of only some days can be asked at `now`; None for one that answers from the beginning."""
    return None if isinstance(stream.history, str) else now - timedelta(days=stream.history.days) + EDGE


def tail(conn: psycopg.Connection, place: Place, series: str, stream: Stream, now: datetime) -> Window:
    """What the live tail asks for: from shortly before the end of the last complete run.

    At first it reaches as far back as the stream's `first` says, else as far as the source answers (`since` is None).
    """
    row = conn.execute(
        "select complete_until from ops.stream_progress where source = %s and stream = %s and series = %s",
        (place.slug, place.stream, series),
    ).fetchone()
    reach = oldest(stream, now)
    if row is not None:
        since = row[0] - stream.overlap
        return Window(max(since, reach) if reach else since, now)
    return Window(now - stream.first if stream.first else reach, now)


def note_gap(conn: psycopg.Connection, place: Place, series: str, stream: Stream, asked: Window) -> None:
    """Write down, once, what lies between the end of the last complete run and the start of a live tail.

    Only a source that answers for its last days alone leaves any: it is lost, and an operator should know.
    """
    if isinstance(stream.history, str):
        return
    reason = f"the source answers only for the last {stream.history.days} days, and no run was complete for longer"
    gap = conn.execute(
        """insert into ops.gaps as g (source, stream, series, since, until, noticed_at, reason)
           select source, stream, series, complete_until, %(until)s, %(noticed_at)s, %(reason)s
           from ops.stream_progress
           where source = %(source)s and stream = %(stream)s and series = %(series)s and complete_until < %(until)s
           on conflict (source, stream, series, since) do update set until = greatest(g.until, excluded.until)
           returning since, until""",
        {
            "source": place.slug,
            "stream": place.stream,
            "series": series,
            "until": asked.since,
            "noticed_at": asked.until,
            "reason": reason,
        },
    ).fetchone()
    if gap is not None:
        logger.warning("%s/%s/%s is lost from %s to %s: %s", place.slug, place.stream, series, *gap, reason)


def chunks(window: Window, stream: Stream) -> Iterator[Window]:
    """The window cut at multiples of the stream's `chunk`, so that two windows cut a day alike; oldest first."""
    if window.since is None or stream.chunk is None:
        yield window
        return
    length = stream.chunk
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = window.since
    while since < window.until:
        until = min(epoch + ((since - epoch) // length + 1) * length, window.until)
        yield Window(since, until)
        since = until


def resume(conn: psycopg.Connection, place: Place, series: str, window: Window) -> Window:
    """What is left of a window of history that an earlier run began and did not end."""
    row = conn.execute(
        """select done_until from ops.window_progress
           where source = %s and stream = %s and series = %s and since = %s and until = %s""",
        (place.slug, place.stream, series, window.since, window.until),
    ).fetchone()
    return Window(row[0], window.until) if row else window


def mark_done(conn: psycopg.Connection, place: Place, series: str, window: Window, until: datetime) -> None:
    """Remember that everything of the window before `until` is loaded; a whole window is forgotten."""
    key = (place.slug, place.stream, series, window.since, window.until)
    if until < window.until:
        conn.execute(
            """insert into ops.window_progress (source, stream, series, since, until, done_until)
               values (%s, %s, %s, %s, %s, %s)
               on conflict (source, stream, series, since, until) do update set done_until = excluded.done_until""",
            (*key, until),
        )
    else:
        conn.execute(
            """delete from ops.window_progress
               where source = %s and stream = %s and series = %s and since = %s and until = %s""",
            key,
        )


def mark_complete(conn: psycopg.Connection, place: Place, series: str, until: datetime) -> None:
    """Remember how far the live tail has come; it never goes back."""
    conn.execute(
        """insert into ops.stream_progress as p (source, stream, series, complete_until) values (%s, %s, %s, %s)
           on conflict (source, stream, series)
           do update set complete_until = greatest(p.complete_until, excluded.complete_until)""",
        (place.slug, place.stream, series, until),
    )
