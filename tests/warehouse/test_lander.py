"""Whatever a connector does, its answers land, and what it raises repeats no key."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from feature_store.catalog import load_catalog
from feature_store.errors import Malformed, Refused
from feature_store.sources.contract import Payload, Row
from feature_store.warehouse.ingest import Lander
from feature_store.warehouse.landing import Place
from feature_store.warehouse.loading import load

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = "k3y"
ANSWER = Payload("api", "http://source/api", {}, 200, "text/html", b"<html>who is k3y?</html>", 1, NOW)


@pytest.fixture
def lander(db: psycopg.Connection) -> Lander:
    (series,) = load_catalog().series("etherscan", "gasoracle")
    return Lander(db, Place("etherscan", "gasoracle", "UTC"), series, "test", lambda text: text.replace(KEY, "***"))


def nothing(payload: Payload) -> Iterator[Row]:
    raise AssertionError("not to be read")


def test_an_answer_that_fetching_cannot_read_lands_and_is_rejected(lander: Lander) -> None:
    def fetch() -> Iterator[Payload]:
        ANSWER.json()
        yield ANSWER

    answers, failure = lander.take(fetch(), nothing)
    assert isinstance(failure, Malformed)
    assert KEY not in str(failure)
    load(lander.conn, lander.place, lander.series, answers)
    found = lander.conn.execute(
        """select outcome, sha256 is not null, strpos(r.reason, 'HTML') > 0, strpos(r.reason, 'k3y')
           from raw.fetches join raw.rejects as r using (fetch_id)"""
    ).fetchall()
    assert found == [("rejected", True, True, 0)]


def test_an_answer_that_was_given_lands_once_though_reading_it_fails(lander: Lander) -> None:
    def fetch() -> Iterator[Payload]:
        yield ANSWER
        ANSWER.json()

    def parse(payload: Payload) -> Iterator[Row]:
        yield from payload.json()

    answers, failure = lander.take(fetch(), parse)
    assert failure is not None
    assert [type(answer.error) for answer in answers] == [Malformed]
    assert KEY not in str(answers[0].error)
    assert lander.conn.execute("select count(*) from raw.fetches").fetchone() == (1,)


def test_an_answer_after_which_fetching_cannot_go_on_is_rejected_though_its_rows_can_be_read(lander: Lander) -> None:
    def fetch() -> Iterator[Payload]:
        yield ANSWER
        raise Malformed("how many rows are there in all?", ANSWER)

    answers, failure = lander.take(fetch(), lambda _: iter([Row("ProposeGasPrice", NOW, {"value": "7"})]))
    assert [answer.error for answer in answers] == [failure]
    assert load(lander.conn, lander.place, lander.series, answers).loaded == 0


def test_a_refusal_is_recorded_without_the_key(lander: Lander) -> None:
    def fetch() -> Iterator[Payload]:
        raise Refused(f"the source says: {KEY} is wrong", ANSWER)
        yield

    answers, failure = lander.take(fetch(), nothing)
    assert (answers, str(failure)) == ([], "the source says: *** is wrong")
    assert lander.conn.execute("select outcome, reason, sha256 is not null from raw.fetches").fetchall() == [
        ("failed", "the source says: *** is wrong", True)
    ]
