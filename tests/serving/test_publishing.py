"""Publishing: every rule by its name, all or nothing, what is new and what is held, idempotency, one transaction."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

import psycopg
import pytest
import zstandard

from feature_store.catalog.sync import sync
from feature_store.errors import IdempotencyMismatch, InvalidRequest, TooLarge, WarehouseError
from feature_store.serving.publishing import MAX_BYTES, MAX_POINTS, PublishAnswer
from feature_store.serving.publishing.writing import MAX_PARTITIONS
from tests.conftest import database

from .publishing import ADMIN, DAY, DESK, FLOW, NET, NOW, OTHER, READER, SIGNAL, WALCL, Desk, body, point

HOUR = timedelta(hours=1)
TEN, ELEVEN, NOON = "2024-03-20T10:00:00Z", "2024-03-20T11:00:00Z", "2024-03-20T12:00:00Z"
YESTERDAY, TODAY = "2024-03-19T00:00:00Z", "2024-03-20T00:00:00Z"


@pytest.fixture(scope="module")
def template(server: str, template: str) -> Iterator[str]:
    """A database with the shipped catalog and two features that are published alone."""
    with database(server, "desks", template) as dsn:
        with psycopg.connect(dsn) as conn:
            sync(conn, Desk(conn).catalog)
        yield "desks"


@pytest.fixture
def desk(db: psycopg.Connection) -> Desk:
    """A store of these features with nothing in it, at noon of 20 March 2024."""
    desk = Desk(db)
    desk.at(NOW)
    return desk


def test_what_is_published_is_in_latest_when_the_answer_is_there(desk: Desk) -> None:
    answer = desk.publish(point(value=2.5), point(ts="2024-03-20T10:00:00+01:00", value=2), point(DAY, YESTERDAY, 7))
    assert answer.wire() == {"inserted": 3, "duplicate": 0, "failed": 0, "errors": []}
    assert (desk.latest(), desk.latest(DAY)) == (2.5, 7)


def test_a_point_keeps_what_its_publisher_said_of_it(desk: Desk) -> None:
    ref = {"source": "mail", "url": "imap://desk/1", "fetchedAt": "2024-03-20T11:00:00+01:00", "sha256": "0" * 64}
    said = {"confidence": 0.25, "meta": {"model": "v3", "publisher": "somebody else"}, "evidence": [ref]}
    desk.publish(point(value=0.1 + 0.2, provisional=True, stale=True, **said))
    [(value, provisional, confidence, meta, evidence, version)] = desk.rows(
        """select value, is_provisional, confidence, meta, evidence, version from features.features_values
           where feature_id = %s""",
        SIGNAL,
    )
    assert (value, provisional, confidence, version) == (0.1 + 0.2, True, 0.25, 1)
    assert meta == {"model": "v3", "publisher": "desk"}
    [(fetch_id,)] = desk.rows("select fetch_id from raw.fetches")
    assert evidence == [{"fetch": fetch_id}, {**ref, "fetchedAt": TEN}]


def test_the_body_lands_as_it_came(desk: Desk) -> None:
    sent = b' {"points": [ {"featureId":"desk/btc/signal","ts":"2024-03-20T10:00Z","value":1e0} ] }\n'
    assert desk.send(sent).inserted == 1
    [(content, source, stream, series, url, kind, *counts)] = desk.rows(
        """select content, source, stream, series, url, content_type, rows_fetched, rows_loaded, rows_duplicate,
             rows_rejected from raw.fetches join raw.payloads using (sha256)"""
    )
    assert zstandard.decompress(content) == sent
    assert (source, stream, series, url, kind) == ("publish", "points", "k1", "publish:k1", "application/json")
    assert counts == [1, 1, 0, 0]
    audited = desk.rows("select key_id, publisher, mode, inserted, duplicate, failed, sha256 from ops.publishes")
    assert audited == [("k1", "desk", "all", 1, 0, 0, sha256(sent).hexdigest())]


# Rules


def test_each_rule_has_its_name(desk: Desk) -> None:
    found = desk.rules(
        point("desk/btc/unheard_of"),
        point(NET, "2024-03-13T00:00:00Z", 6e12),
        point(WALCL, "2024-03-13T00:00:00Z", 7.5e12),
        point(value=1e7),
        point(DAY, TODAY, 1),
        point(ts="2024-03-20T12:00:00.000001Z"),
        point(availableAt="2024-03-20T09:59:59Z"),
        point(availableAt="2024-03-20T12:00:00.000001Z"),
        point(ts=ELEVEN, value=1),
        point(ts=ELEVEN, value=2),
        point(ts=ELEVEN, value=1),
    )
    assert found == [
        "unknown_feature", "derived", "not_a_writer", "out_of_range", "in_the_future", "in_the_future", "available_at",
        "available_at", None, "twice", None,
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_none_fails_its_point_alone(desk: Desk, number: str) -> None:
    sent = body(point(), point(ts=ELEVEN, value=-7), mode="each").replace(b"-7", number.encode())
    answer = desk.send(sent)
    assert (answer.inserted, [(error["index"], error["rule"]) for error in answer.errors]) == (1, [(1, "not_finite")])


def test_a_failed_point_says_what_where_and_what_to_do(desk: Desk) -> None:
    [error] = desk.publish(point(value=1e7)).errors
    assert error == {
        "index": 0,
        "featureId": SIGNAL,
        "ts": TEN,
        "rule": "out_of_range",
        "reason": "its value is 10000000; expected from -1000000 to 1000000 USD: look at the unit and the sign, "
        "or widen quality.expected_range in the catalog",
    }
    [error] = desk.publish(point(DAY, TODAY, 1)).errors
    assert "over at 2024-03-21T00:00:00Z, and the store's now is 2024-03-20T12:00:00Z" in error["reason"]


def test_a_session_is_over_when_it_closes(desk: Desk) -> None:
    desk.at("2024-03-20T19:59:59")  # the NYSE closes at 20:00 UTC
    assert desk.rules(point(FLOW, TODAY, 1e6)) == ["in_the_future"]
    desk.at("2024-03-20T20:00:00")
    assert desk.rules(point(FLOW, TODAY, 1e6, availableAt="2024-03-20T19:59:59Z")) == ["available_at"]
    assert desk.rules(point(FLOW, TODAY, 1e6, availableAt="2024-03-20T20:00:00Z")) == [None]


def test_a_day_that_has_not_begun_is_the_future_though_its_session_is_of_the_day_before(desk: Desk) -> None:
    desk.at("2024-03-23T12:00:00")  # a Saturday
    assert desk.rules(point(FLOW, "2024-03-24T00:00:00Z", 1)) == ["in_the_future"]


def test_a_day_before_its_calendar_fails_and_takes_no_other_along(desk: Desk) -> None:
    found = desk.rules(
        point(FLOW, "1890-01-02T00:00:00Z", 1), point(FLOW, YESTERDAY, 1), point(FLOW, "2050-01-01T00:00:00Z", 1)
    )
    assert found == ["out_of_range", None, "in_the_future"]


def test_a_retired_day_has_to_come_back_first(desk: Desk) -> None:
    desk.conn.execute(
        "insert into ops.retired_days (feature_id, day, rows) values (%s, '2024-03-19', 1), (%s, '2024-03-19', 1)",
        (SIGNAL, "another"),
    )
    found = desk.rules(point(ts="2024-03-19T23:59:59Z"), point(ts=TODAY), point(DAY, YESTERDAY))
    assert found == ["retired", None, None]


def test_a_day_that_retires_after_the_rules_looked_is_seen_by_the_writer(desk: Desk) -> None:
    desk.conn.execute(
        """create function ops.retire() returns trigger language plpgsql as
           $$ begin insert into ops.retired_days (feature_id, day, rows) values ('desk/btc/signal', '2024-03-20', 1)
              on conflict do nothing;
              return new; end $$;
           create trigger retire before insert on ops.feature_writes for each row execute function ops.retire()"""
    )
    desk.conn.commit()
    with pytest.raises(WarehouseError, match="days that are retired"):
        desk.publish(point())
    assert desk.counts() == dict.fromkeys(desk.counts(), 0)


@pytest.mark.parametrize(
    ("by", "found"),
    [
        (READER, ["not_a_writer", "not_a_writer", "not_a_writer", "derived"]),
        (DESK, [None, None, "not_a_writer", "derived"]),
        (ADMIN, [None, None, None, "derived"]),
    ],
)  # fmt: skip
def test_a_scope_says_what_may_be_written(desk: Desk, by: object, found: list[str | None]) -> None:
    points = [
        point(), point(FLOW, YESTERDAY, 1e6), point(WALCL, "2024-03-13T00:00:00Z", 7.5e12), point(NET, YESTERDAY, 6e12),
    ]  # fmt: skip
    assert desk.rules(*points, by=by) == found  # type: ignore[arg-type]


def test_only_a_request_that_lacks_nothing_but_the_scope_is_forbidden(desk: Desk) -> None:
    assert desk.publish(point(), by=READER).lacks_scope
    assert not desk.publish(point(), point(value=1e9), by=ADMIN).lacks_scope
    assert not desk.publish(point(), point(WALCL, "2024-03-13T00:00:00Z", 7.5e12), mode="each").lacks_scope


def test_an_admin_who_writes_to_a_connectors_feature_is_marked(desk: Desk) -> None:
    desk.publish(
        point(WALCL, "2024-03-13T00:00:00Z", 7.5e12, meta={"override": False}), point(FLOW, YESTERDAY, 1), by=ADMIN
    )
    marked = desk.rows("select feature_id, meta from features.features_versions order by 1")
    assert marked == [(FLOW, {"publisher": "ops"}), (WALCL, {"publisher": "ops", "override": True})]


# Modes


def test_all_writes_nothing_when_one_point_fails(desk: Desk) -> None:
    answer = desk.publish(point(), point("nobody/knows"))
    assert (answer.inserted, answer.duplicate, answer.failed, answer.is_refused) == (0, 0, 1, True)
    assert desk.counts() == dict.fromkeys(desk.counts(), 0)


def test_each_writes_what_passes_and_names_the_rest(desk: Desk) -> None:
    answer = desk.publish(point(), point("nobody/knows"), point(), mode="each")
    assert (answer.inserted, answer.duplicate, answer.failed, answer.is_refused) == (1, 1, 1, False)
    assert [error["index"] for error in answer.errors] == [1]
    assert desk.rows("select rows_fetched, rows_loaded, rows_duplicate, rows_rejected from raw.fetches") == [
        (3, 1, 1, 1)
    ]
    assert desk.rows("select answer from ops.publishes") == [(answer.wire(),)]


def test_nothing_to_publish_is_a_request_too(desk: Desk) -> None:
    assert desk.publish().wire() == {"inserted": 0, "duplicate": 0, "failed": 0, "errors": []}


# What is new, and when it was available


def test_what_is_held_is_a_duplicate_and_writes_no_point(desk: Desk) -> None:
    desk.publish(point())
    desk.at(NOW + HOUR)
    before = desk.counts()
    for by in (DESK, OTHER, ADMIN):
        assert desk.publish(point(), by=by).wire() == {"inserted": 0, "duplicate": 1, "failed": 0, "errors": []}
    after = desk.counts()
    assert {table for table in after if after[table] != before[table]} == {"raw.fetches", "ops.publishes"}


def test_there_and_back_again_is_three_versions(desk: Desk) -> None:
    for hours, value in enumerate((1, 2, 1)):
        desk.at(NOW + hours * HOUR)
        assert desk.publish(point(value=value)).inserted == 1
    assert desk.versions() == [
        (1, "03-20 12:00", "ingested"),
        (2, "03-20 13:00", "ingested"),
        (1, "03-20 14:00", "ingested"),
    ]
    assert desk.count("raw.published_points") == 3


def test_there_and_back_again_is_three_versions_though_no_time_passes(desk: Desk) -> None:
    for stated in ({}, {"availableAt": ELEVEN}):
        for value in (1, 2, 1):
            assert (
                desk.publish(point(ts=TEN if stated else "2024-03-20T09:00:00Z", value=value, **stated)).inserted == 1
            )
    assert [value for value, *_ in desk.versions()] == [1, 2, 1, 1, 2, 1]
    assert desk.latest() == 1


def test_a_provisional_value_that_becomes_final_is_new(desk: Desk) -> None:
    assert desk.publish(point(provisional=True)).inserted == 1
    desk.at(NOW + HOUR)
    assert desk.publish(point(provisional=True)).duplicate == 1
    assert desk.publish(point()).inserted == 1


def test_two_zeros_are_one_value(desk: Desk) -> None:
    assert desk.publish(point(value=0.0), point(value=-0.0)).wire()["duplicate"] == 1
    assert desk.publish(point(value=-0.0)).duplicate == 1


def test_a_stated_time_is_kept_and_an_earlier_one_is_news(desk: Desk) -> None:
    assert desk.publish(point(availableAt=ELEVEN)).inserted == 1
    assert desk.publish(point(availableAt="2024-03-20T11:30:00Z")).duplicate == 1, "so much was known"
    assert desk.publish(point(availableAt=TEN)).inserted == 1, "it was known an hour before"
    assert desk.publish(point()).duplicate == 1
    assert desk.versions() == [(1, "03-20 10:00", "stated"), (1, "03-20 11:00", "stated")]


def test_a_history_of_one_point_may_come_in_one_request(desk: Desk) -> None:
    told = [(TEN, 1), ("2024-03-20T10:30:00Z", 1), (ELEVEN, 2), (NOON, 1)]
    answer = desk.publish(*(point(value=value, availableAt=at) for at, value in reversed(told)))
    assert (answer.inserted, answer.duplicate) == (3, 1)
    assert [value for value, *_ in desk.versions()] == [1, 2, 1]


def test_what_was_backfilled_counts_from_when_it_was_ingested(desk: Desk) -> None:
    """Strict readers do not see it before, so a publisher who knew it earlier tells something new."""
    desk.conn.execute(
        """create temp table batch as select %s::text as feature_id, 1 as version, 'intraday'::text as grain,
             %s::timestamptz as ts, 1.0::double precision as value, %s::timestamptz as available_at,
             'backfilled'::text as available_basis, false as is_provisional, 0.9::double precision as confidence,
             '{}'::jsonb as meta, '[]'::jsonb as evidence""",
        (SIGNAL, TEN, TEN),
    )
    desk.conn.execute("select features.append_versions('batch')")
    desk.conn.commit()
    desk.at(NOW + HOUR)
    assert desk.publish(point(availableAt=ELEVEN)).inserted == 1
    assert desk.publish(point()).duplicate == 1


def test_a_frozen_clock_never_tells_a_time_before_what_is_held(desk: Desk) -> None:
    for value in range(5):
        desk.publish(point(value=value))
    [(stamps, late)] = desk.rows(
        """select count(distinct ingested_at), count(*) filter (where available_at > ingested_at)
           from features.features_versions"""
    )
    assert (stamps, late, desk.latest()) == (5, 0, 4)


# Idempotency


def test_the_same_request_again_gets_the_same_answer_and_writes_nothing(desk: Desk) -> None:
    first = desk.publish(point(), point("nobody/knows"), mode="each", key="a")
    before = desk.counts()
    desk.at(NOW + timedelta(days=7) - timedelta(microseconds=1))
    again = desk.publish(point(), point("nobody/knows"), mode="each", key="a")
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert again.wire() == first.wire()
    assert desk.counts() == before


def test_an_idempotency_key_is_for_one_body(desk: Desk) -> None:
    desk.publish(point(), key="a")
    with pytest.raises(IdempotencyMismatch, match="'a' came with another body"):
        desk.publish(point(value=2), key="a")
    assert desk.publish(point(value=2), key="b").inserted == 1
    assert desk.publish(point(value=3), key="a", by=OTHER).inserted == 1, "another's keys are another's"


def test_an_idempotency_key_is_free_after_seven_days_and_after_a_refusal(desk: Desk) -> None:
    desk.publish(point(), key="a")
    desk.at(NOW + timedelta(days=7))
    assert desk.publish(point(value=2), key="a").inserted == 1
    assert desk.rows("select idempotency_key from ops.publishes order by publish_id") == [(None,), ("a",)]
    assert desk.publish(point("nobody/knows"), key="c").is_refused
    assert desk.publish(point(value=3), key="c").inserted == 1


@pytest.mark.parametrize("key", ["", "ü", "a\n", "a" * 256])
def test_an_idempotency_key_is_printable(desk: Desk, key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key: give 1 to 255"):
        desk.publish(point(), key=key)


def test_the_same_request_at_once_is_written_once(desk: Desk, dsn: str) -> None:
    answers = at_once(desk, dsn, [(body(point()), "a")] * 6)
    assert [answer.inserted for answer in answers] == [1] * 6
    assert sum(answer.is_replayed for answer in answers) == 5
    assert desk.count("ops.publishes") == 1


# At once, and killed


def at_once(desk: Desk, dsn: str, requests: list[tuple[bytes, str | None]]) -> list[PublishAnswer]:
    """Publish each on a connection of its own, all at the same time."""
    answers: list[PublishAnswer] = []
    start = threading.Barrier(len(requests))

    def send(content: bytes, key: str | None) -> None:
        with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
            start.wait()
            answers.append(Desk(conn, desk.catalog).send(content, key=key))

    threads = [threading.Thread(target=send, args=request) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(requests), "none was turned away"
    return answers


def test_one_point_at_once_is_one_version(desk: Desk, dsn: str) -> None:
    answers = at_once(desk, dsn, [(body(point(), point(DAY, YESTERDAY, 1)), None)] * 6)
    assert sum(answer.inserted for answer in answers) == 2
    assert sum(answer.duplicate for answer in answers) == 10
    assert desk.count("raw.published_points") == desk.count("features.features_versions") == 2


def test_publishers_of_the_same_features_never_wait_for_each_other_in_a_ring(desk: Desk, dsn: str) -> None:
    points = [point(value=1), point(DAY, YESTERDAY, 1), point(FLOW, YESTERDAY, 1)]
    requests = [body(*(points if turn % 2 else reversed(points))) for turn in range(6)]
    assert sum(answer.inserted for answer in at_once(desk, dsn, [(request, None) for request in requests])) == 3


@pytest.mark.parametrize(
    "table", ["raw.published_points", "features.features_versions", "features.latest_values", "ops.publishes"]
)
def test_a_publish_that_dies_leaves_nothing(desk: Desk, table: str) -> None:
    desk.publish(point(ts="2024-03-20T09:00:00Z"))
    before = desk.counts()
    with desk.dying(table), pytest.raises(psycopg.errors.RaiseException, match="killed"):
        desk.publish(point(value=2), key="a")
    assert (desk.counts(), desk.latest()) == (before, 1)
    assert desk.publish(point(value=2), key="a").inserted == 1


# The body


@pytest.mark.parametrize(
    ("sent", "where", "problem"),
    [
        (b"", "body", "invalid JSON"),
        (b"[]", "body", "object"),
        (b'{"points": [], "extra": 1}', "body.extra", "unknown field"),
        (b'{"points": [], "mode": "some"}', "body.mode", "'all' or 'each'"),
        (b"{}", "body.points", "missing"),
        (body({"featureId": SIGNAL, "value": 1}), "body.points.0.ts", "missing"),
        (body(point(value="1")), "body.points.0.value", "valid number"),  # type: ignore[arg-type]
        (body(point(value=True)), "body.points.0.value", "valid number"),
        (body(point(value=None)), "body.points.0.value", "valid number"),  # type: ignore[arg-type]
        (body(point(feature_id=SIGNAL, ingestedAt=TEN)), "body.points.0.ingestedAt", "unknown field"),
        (body(point(ts="2024-03-20T10:00:00")), "body.points.0.ts", "with a zone"),
        (body(point(ts=1710928800)), "body.points.0.ts", "with a zone"),  # type: ignore[arg-type]
        (body(point(ts="2024-03-20T10:00:00.1234567Z")), "body.points.0.ts", "to the microsecond"),
        (body(point(ts="2024-02-30T10:00:00Z")), "body.points.0.ts", "no such instant"),
        (body(point(ts="0001-01-01T00:00:00+05:00")), "body.points.0.ts", "no such instant"),
        (body(point(availableAt="yesterday")), "body.points.0.availableAt", "with a zone"),
        (body(point(confidence=1.5)), "body.points.0.confidence", "less than or equal to 1"),
        (body(point(meta={"a": float("nan")})), "body.points.0.meta", "NaN"),
        (body(point(meta={"a": "\0"})), "body.points.0.meta", "NUL"),
        (body(point(feature_id="a\0")), "body.points.0.featureId", "NUL"),
        (body(point(evidence=[{"source": "s", "fetch": 1}])), "body.points.0.evidence.0.fetch", "unknown field"),
        (body(point(evidence=[{"source": "s", "sha256": "x"}])), "body.points.0.evidence.0.sha256", "pattern"),
        (b'{"points": [{"featureId": "\xff"}]}', "body", "invalid JSON"),
        (b"[" * 100_000, "body", "invalid JSON"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_told_where(desk: Desk, sent: bytes, where: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        desk.send(sent)
    assert [(error["where"], problem in error["problem"]) for error in raised.value.errors][:1] == [(where, True)], str(
        raised.value
    )
    assert desk.count("raw.fetches") == 0


def test_more_than_is_taken_at_once_is_refused(desk: Desk) -> None:
    with pytest.raises(TooLarge, match="10,001 points"):
        desk.publish(*[point()] * (MAX_POINTS + 1))
    with pytest.raises(TooLarge, match="bytes"):
        desk.send(b" " * (MAX_BYTES + 1))
    days = [point(ts=(NOW - timedelta(days=day + 1)).isoformat()) for day in range(MAX_PARTITIONS + 1)]
    with pytest.raises(TooLarge, match="101 days of intraday features"):
        desk.publish(*days)
    assert desk.publish(*days[1:]).inserted == MAX_PARTITIONS


def test_ten_thousand_points_are_taken_at_once(desk: Desk) -> None:
    points = [point(ts=(NOW - timedelta(seconds=second)).isoformat(), value=second) for second in range(MAX_POINTS)]
    assert desk.publish(*points).inserted == MAX_POINTS
    assert desk.publish(*points).duplicate == MAX_POINTS
