"""What is asked for: the live tail, and history in chunks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.catalog import Stream
from feature_store.sources.contract import Window
from feature_store.warehouse.landing import Place
from feature_store.warehouse.windows import EDGE, chunks, mark_complete, mark_done, note_gap, resume, tail

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACE = Place("test", "points", "UTC")
instants = st.timedeltas(timedelta(days=-2000), timedelta(days=2000)).map(lambda span: NOW + span)
spans = st.timedeltas(timedelta(hours=9), timedelta(days=50))


def stream(**fields: object) -> Stream:
    return Stream.model_validate({"description": "x", "history": "full", "payloads": "forever", **fields})


@settings(deadline=None)
@given(since=instants, length=st.timedeltas(timedelta(seconds=1), timedelta(days=400)), chunk=spans)
def test_chunks_cover_a_window_without_gap_or_overlap(since: datetime, length: timedelta, chunk: timedelta) -> None:
    whole = Window(since, since + length)
    cut = list(chunks(whole, stream(chunk=chunk)))
    assert (cut[0].since, cut[-1].until) == (whole.since, whole.until)
    assert all(before.until == after.since for before, after in pairwise(cut))
    assert all(part.since is not None and timedelta(0) < part.until - part.since <= chunk for part in cut)


@settings(deadline=None)
@given(first=instants, second=instants, chunk=spans)
def test_two_windows_are_cut_at_the_same_instants(first: datetime, second: datetime, chunk: timedelta) -> None:
    second = first + (second - first) % timedelta(days=100)
    end = second + timedelta(days=100)
    inner = [
        {part.until for part in chunks(Window(since, end), stream(chunk=chunk))} - {end} for since in (first, second)
    ]
    assert {cut for cut in inner[0] if cut > second} == {cut for cut in inner[1] if cut > first} - {second}


def test_a_window_without_start_or_chunk_is_one_chunk() -> None:
    assert list(chunks(Window(None, NOW), stream(chunk=timedelta(days=1)))) == [Window(None, NOW)]
    assert list(chunks(Window(NOW, NOW + timedelta(days=9)), stream())) == [Window(NOW, NOW + timedelta(days=9))]


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ({}, None),
        ({"first": "P30D"}, NOW - timedelta(days=30)),
        ({"history": {"days": 30}}, NOW - timedelta(days=30) + EDGE),
        ({"history": {"days": 30}, "first": "P2D"}, NOW - timedelta(days=2)),
    ],
)
def test_the_first_tail_reaches_as_far_as_the_catalog_says(
    db: psycopg.Connection, fields: dict[str, object], since: datetime | None
) -> None:
    assert tail(db, PLACE, "S", stream(**fields), NOW) == Window(since, NOW)


def test_the_next_tail_starts_an_overlap_before_the_last_one_ended_but_never_before_the_source_answers(
    db: psycopg.Connection,
) -> None:
    mark_complete(db, PLACE, "S", NOW - timedelta(hours=1))
    mark_complete(db, PLACE, "S", NOW - timedelta(hours=3))
    assert tail(db, PLACE, "S", stream(overlap="PT5M"), NOW).since == NOW - timedelta(hours=1, minutes=5)
    short = stream(overlap="P5D", history={"days": 1})
    assert tail(db, PLACE, "S", short, NOW).since == NOW - timedelta(days=1) + EDGE


def test_a_window_is_resumed_where_it_stopped_and_forgotten_when_whole(db: psycopg.Connection) -> None:
    window = Window(NOW - timedelta(days=30), NOW)
    assert resume(db, PLACE, "S", window) == window
    mark_done(db, PLACE, "S", window, NOW - timedelta(days=20))
    assert resume(db, PLACE, "S", window) == Window(NOW - timedelta(days=20), NOW)
    assert resume(db, PLACE, "T", window) == window
    mark_done(db, PLACE, "S", window, NOW)
    assert resume(db, PLACE, "S", window) == window


def test_what_a_source_no_longer_answers_for_is_written_down_once(
    db: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    month = stream(history={"days": 30}, overlap="PT1H")

    def run(now: datetime) -> None:
        note_gap(db, PLACE, "S", month, tail(db, PLACE, "S", month, now))

    run(NOW)
    mark_complete(db, PLACE, "S", NOW)
    run(NOW + timedelta(days=29))
    assert db.execute("select * from ops.gaps").fetchall() == []
    late = NOW + timedelta(days=40)
    run(late)
    run(late + timedelta(hours=1))  # the run before failed, so more was lost meanwhile
    (gap,) = db.execute("select source, stream, series, since, until, noticed_at from ops.gaps").fetchall()
    assert gap == ("test", "points", "S", NOW, NOW + timedelta(days=10, hours=1) + EDGE, late)
    mark_complete(db, PLACE, "S", late + timedelta(hours=1))
    run(late + timedelta(hours=2))
    assert db.execute("select count(*) from ops.gaps").fetchone() == (1,)
    assert "test/points/S is lost from 2026-03-02" in caplog.text
    assert "answers only for the last 30 days" in caplog.text


def test_a_source_that_answers_from_its_beginning_leaves_no_gap(db: psycopg.Connection) -> None:
    mark_complete(db, PLACE, "S", NOW)
    late = NOW + timedelta(days=4000)
    note_gap(db, PLACE, "S", stream(), tail(db, PLACE, "S", stream(), late))
    assert db.execute("select * from ops.gaps").fetchall() == []
