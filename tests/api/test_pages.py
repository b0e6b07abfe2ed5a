"""Pages of one read fit together, whatever is written between them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .served import GAS, NOW, PRICE, VIX, Served, Told

FEATURES = [GAS, VIX, PRICE]


def pages(client: httpx.Client, asked: dict[str, Any], limits: Iterator[int]) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = client.get("/v1/query", params={**asked, "limit": next(limits), **more})
        assert answer.status_code == 200, answer.text
        yield answer.json()["points"]
        cursor = answer.json()["nextCursor"]
        assert (cursor is not None) == ("next" in answer.links)
        if cursor is None:
            return


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    vintage=st.sampled_from(["latest", "first", "all"]),
    limits=st.lists(st.integers(1, 40), min_size=1),
    values=st.lists(st.one_of(st.none(), st.floats(1, 9)), min_size=3, max_size=12),
    order=st.permutations(FEATURES),
    minute=st.integers(0, 59),
)
def test_pages_are_one_read_while_versions_are_appended(
    store: Served, vintage: str, limits: list[int], values: list[float | None], order: list[str], minute: int
) -> None:
    asked = {"featureIds": ",".join(order), "vintage": vintage}
    news = iter(values)
    with store.client() as client:
        whole = points(client.get("/v1/query", params={**asked, "limit": 100_000}))
        found: list[tuple[Any, ...]] = []
        for page in pages(client, asked, endlessly(limits)):
            found += [key(point) for point in page]
            append(store, order, NOW - timedelta(hours=2) + timedelta(minutes=minute), next(news, None))
    assert found == whole


def test_pages_are_one_read_while_points_are_assessed(store: Served) -> None:
    asked = {"featureIds": PRICE, "vintage": "all"}
    confidence = iter((0.1, 0.2) * 100)
    with store.client() as client:
        whole = client.get("/v1/query", params={**asked, "limit": 100_000}).json()["points"]
        found: list[dict[str, Any]] = []
        for page in pages(client, asked, endlessly([25])):
            found += page
            store.assess(PRICE, datetime.fromisoformat(whole[-1]["ts"]), next(confidence))
        after = client.get("/v1/query", params={**asked, "limit": 100_000}).json()["points"]
    assert found == whole
    assert after[-1]["confidence"] in (0.1, 0.2)


def append(store: Served, features: list[str], ts: datetime, value: float | None) -> None:
    """Of each feature a new version of a point that is read, and a new point."""
    row = store.conn.execute("select ops.now()").fetchone()
    assert row is not None
    now = row[0]
    told = [Told(feature, ts, value, now, "ingested") for feature in features]
    told += [Told(feature, now - timedelta(days=1), 3.0, now, "ingested") for feature in features]
    store.append(told)


def endlessly(limits: list[int]) -> Iterator[int]:
    while True:
        yield from limits


def points(answer: httpx.Response) -> list[tuple[Any, ...]]:
    answer.raise_for_status()
    assert answer.json()["nextCursor"] is None
    return [key(point) for point in answer.json()["points"]]


def key(point: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(point[name] for name in ("featureId", "ts", "value", "availableAt", "ingestedAt"))


def test_a_page_that_is_just_full_is_the_last(store: Served) -> None:
    whole = store.get("/v1/query", featureIds=PRICE, limit=100_000).json()["points"]
    answer = store.get("/v1/query", featureIds=PRICE, limit=len(whole)).json()
    assert answer["points"] == whole
    assert answer["nextCursor"] is None


def test_the_link_leads_to_the_next_page_of_the_same_form(store: Served) -> None:
    with store.client(Accept="text/csv") as client:
        first = client.get("/v1/query", params={"featureIds": [PRICE, VIX], "limit": 10})
        second = client.get(first.links["next"]["url"])
    assert second.headers["content-type"].startswith("text/csv")
    assert len(second.text.splitlines()) == 11


@pytest.mark.parametrize(
    "tamper",
    [
        lambda cursor: cursor[:-2],
        lambda cursor: cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:],
        lambda cursor: "' or 1=1 --",
        lambda cursor: "",
        lambda cursor: "é",
        lambda cursor: cursor + "A" * 9_000,
    ],
)
def test_a_cursor_that_was_changed_is_refused(store: Served, tamper: Any) -> None:
    cursor = store.get("/v1/query", featureIds=PRICE, limit=2).json()["nextCursor"]
    answer = store.get("/v1/query", featureIds=PRICE, limit=2, cursor=tamper(cursor))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "query.cursor"


def test_a_cursor_is_of_its_question_alone(store: Served) -> None:
    cursor = store.get("/v1/query", featureIds=PRICE, limit=2).json()["nextCursor"]
    for other in (
        {"featureIds": VIX},
        {"featureIds": PRICE, "strict": "false"},
        {"featureIds": PRICE, "vintage": "all"},
    ):
        assert store.get("/v1/query", **other, limit=2, cursor=cursor).status_code == 422
    assert store.get("/v1/query", featureIds=PRICE, limit=50, cursor=cursor).status_code == 200
