"""What to ask a source for: the live tail, and windows of history in chunks that a killed load resumes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from feature_store.catalog import Stream
from feature_store.sources.contract import Window
from feature_store.warehouse.landing import Place


def tail(conn: psycopg.Connection, place: Place, series: str, stream: Stream, now: datetime) -> Window:
    """What the live tail asks for: from shortly before the end of the last complete run.

    At first it reaches as far back as the stream's `first` says, else as far as the source answers (`since` is None).
    """
    row = conn.execute(
        "select complete_until from ops.stream_progress where source = %s and stream = %s and series = %s",
        (place.slug, place.stream, series),
    ).fetchone()
    oldest = None if isinstance(stream.history, str) else now - timedelta(days=stream.history.days)
    if row is not None:
        since = row[0] - stream.overlap
        return Window(max(since, oldest) if oldest else since, now)
    return Window(now - stream.first if stream.first else oldest, now)


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
