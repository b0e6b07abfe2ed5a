"""Points are written once, however often their answer is lost, and those that fail are named."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from feature_store_client import (
    FeatureStore,
    IdempotencyMismatch,
    InvalidRequest,
    NewPoint,
    PermissionDenied,
    PointsRejected,
    ServiceUnavailable,
)

from tests.api.served import NOW, VIX, Served

from .conftest import Ask
from .flaky import Flaky

FLOW = "crypto/etf/btc_net_flow_usd"
_DAYS = count(1)


@pytest.fixture
def key(store: Served) -> str:
    return store.key_with("read", "publish", rate_limit_rpm=0)


@pytest.fixture
def day() -> datetime:
    """A business day that no other test writes to."""
    return _business_day(next(_DAYS))


def _business_day(number: int) -> datetime:
    weeks, days = divmod(number, 5)
    return datetime(2024, 1, 15, tzinfo=UTC) + timedelta(days=7 * (weeks % 18) + days)


def test_points_are_written_and_a_second_time_are_duplicates(
    client: Ask, store: Served, key: str, day: datetime
) -> None:
    point = NewPoint(
        FLOW, day, 2.5e8, confidence=0.8, meta={"desk": "etf"}, evidence=[{"source": "issuer"}],
        available_at=day + timedelta(hours=40),
    )  # fmt: skip
    result = client(store.url, key, "write_feature_points", [point])
    assert (result.inserted, result.duplicate, result.failed, result.errors) == (1, 0, 0, [])
    again = client(store.url, key, "write_feature_points", [point])
    assert (again.inserted, again.duplicate, again.replayed) == (0, 1, False)
    [read] = client(store.url, key, "query_feature_points", FLOW, day, day + timedelta(days=1))
    assert (read.value, read.confidence, read.available_basis) == (2.5e8, 0.8, "stated")
    assert read.available_at == point.available_at
    assert read.meta["desk"] == "etf"


@pytest.mark.parametrize("fault", ["lose", "503", "429 after 0", "drop", "cut"])
def test_a_write_that_is_tried_again_is_written_once(
    client: Ask, flaky: Flaky, store: Served, key: str, day: datetime, fault: str
) -> None:
    flaky.faults = [fault, fault]
    result = client(flaky.url, key, "write_feature_points", [NewPoint(FLOW, day, 1e8)])
    assert (result.inserted, result.duplicate) == (1, 0)
    assert result.replayed is (fault in ("lose", "cut"))
    assert len({headers["Idempotency-Key"] for headers in flaky.seen}) == 1
    assert len(flaky.seen) == 3
    versions = client(store.url, key, "revisions", FLOW, ts=day)
    assert [version.value for version in versions] == [1e8]


def test_a_key_of_ones_own_lets_a_program_go_on(client: Ask, flaky: Flaky, key: str, day: datetime) -> None:
    flaky.faults = ["lose"] * 3
    point = NewPoint(FLOW, day, 1e8)
    with FeatureStore(flaky.url, key, attempts=1) as store, pytest.raises(Exception, match="no answer"):
        store.write_feature_points([point], idempotency_key=f"load {day}")
    flaky.faults = []
    assert client(flaky.url, key, "write_feature_points", [point], idempotency_key=f"load {day}").replayed
    with pytest.raises(IdempotencyMismatch):
        client(flaky.url, key, "write_feature_points", [NewPoint(FLOW, day, 2e8)], idempotency_key=f"load {day}")


def test_all_writes_nothing_when_one_fails_and_each_writes_the_rest(
    client: Ask, store: Served, key: str, day: datetime
) -> None:
    points = [NewPoint(FLOW, day, 1e8), NewPoint("no/such", day, 1.0), NewPoint(FLOW, NOW + timedelta(days=9), 1.0)]
    with pytest.raises(PointsRejected, match="nothing was written") as raised:
        client(store.url, key, "write_feature_points", points)
    assert [(each.index, each.rule) for each in raised.value.errors] == [(1, "unknown_feature"), (2, "in_the_future")]
    assert client(store.url, key, "revisions", FLOW, ts=day) == []

    result = client(store.url, key, "write_feature_points", points, mode="each")
    assert (result.inserted, result.failed) == (1, 2)
    first = result.errors[0]
    assert (first.index, first.feature_id, first.ts) == (1, "no/such", day)


def test_each_sends_many_points_in_parts_and_names_them_by_their_place(
    client: Ask, flaky: Flaky, key: str, day: datetime
) -> None:
    points = [NewPoint("no/such", day, 1.0)] * 10_001
    result = client(flaky.url, key, "write_feature_points", points, "each")
    assert result.failed == 10_001
    assert result.errors[-1].index == 10_000
    assert len({headers["Idempotency-Key"] for headers in flaky.seen}) == 2


def test_a_key_without_the_scope_may_not_write(client: Ask, store: Served, day: datetime) -> None:
    with pytest.raises(PermissionDenied):
        client(store.url, store.key, "write_feature_points", [NewPoint(FLOW, day, 1.0)])


def test_a_feature_of_a_connector_is_not_written_and_its_points_are_named(client: Ask, store: Served, key: str) -> None:
    with pytest.raises(PermissionDenied) as raised:
        client(store.url, key, "write_feature_points", [NewPoint(VIX, datetime(2024, 5, 28, tzinfo=UTC), 14.0)])
    assert [(each.index, each.rule) for each in raised.value.errors] == [(0, "not_a_writer")]


def test_a_store_that_stays_away_is_told_after_the_last_attempt(
    client: Ask, flaky: Flaky, key: str, day: datetime
) -> None:
    flaky.faults = ["503 after 0"] * 3
    with pytest.raises(ServiceUnavailable):
        client(flaky.url, key, "write_feature_points", [NewPoint(FLOW, day, 1.0)])
    assert len({headers["Idempotency-Key"] for headers in flaky.seen}) == 1


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (NewPoint(VIX, NOW, float("nan")), r"points\[1\].value is nan, and JSON has no such number"),
        (NewPoint(VIX, NOW, float("-inf")), r"points\[1\].value is -inf"),
        (NewPoint(VIX, NOW, 1.0, confidence=float("nan")), r"points\[1\].confidence"),
        (NewPoint(VIX, NOW.replace(tzinfo=None), 1.0), r"points\[1\].ts .* names no time zone"),
        (NewPoint(VIX, "2024-05-29", 1.0), r"points\[1\].ts .* names no time zone"),
        (NewPoint(VIX, NOW, 1.0, available_at="yesterday"), r"points\[1\].available_at"),
        (NewPoint(VIX, NOW, 1.0, meta={"at": NOW}), r"points\[1\]: meta and evidence must be JSON"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(client: Ask, flaky: Flaky, point: NewPoint, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        client(flaky.url, "fs_x", "write_feature_points", [NewPoint(VIX, NOW, 1.0), point])
    assert flaky.seen == [], "nothing is sent"
