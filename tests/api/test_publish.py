"""Publishing over the wire: what the answer says is what every reader sees from then on."""

import json
from typing import Any

import httpx
import pytest

from .served import PRICE, VIX, Served, until
from .test_problems import slug

FLOW = "crypto/etf/btc_net_flow_usd"


def point(value: float = 28_000_000.0, feature: str = FLOW, ts: str = "2024-05-29T00:00:00Z") -> dict[str, Any]:
    return {"featureId": feature, "ts": ts, "value": value}


@pytest.fixture(scope="module")
def publisher(store: Served) -> httpx.Client:
    return known(store, store.key_with("read", "publish"))


def known(store: Served, key: str) -> httpx.Client:
    client = store.client(key=key)
    until(lambda: client.get("/v1/catalog").status_code != 401, "the key is known")
    return client


def send(client: httpx.Client, *points: dict[str, Any], mode: str = "all", **headers: str) -> httpx.Response:
    return client.post("/v1/publish", json={"points": list(points), "mode": mode}, headers=headers)


def test_what_was_published_is_in_latest_when_the_answer_arrives(store: Served, publisher: httpx.Client) -> None:
    for number in range(1, 20):
        answer = send(publisher, point(number * 1e6))
        assert answer.json() == {"inserted": 1, "duplicate": 0, "failed": 0, "errors": []}, answer.text
        [latest] = publisher.get("/v1/latest", params={"featureIds": FLOW}).json()["points"]
        assert latest["value"] == number * 1e6
    assert latest["evidence"][0]["source"] == "publish"
    told = store.get("/v1/explain", featureId=FLOW, ts=latest["ts"]).json()
    assert json.loads(store.get(told["sources"][0]["download"]).content)["points"][0]["value"] == 19e6


def test_points_that_fail_are_points_failed_and_nothing_is_written(publisher: httpx.Client) -> None:
    answer = send(publisher, point(3e6, ts="2024-05-30T00:00:00Z"), point(1e30, ts="2024-05-31T00:00:00Z"))
    assert slug(answer) == "points-failed"
    told = answer.json()
    assert [(error["index"], error["rule"]) for error in told["errors"]] == [(1, "out_of_range")]
    assert (told["inserted"], told["duplicate"], told["failed"]) == (0, 0, 1)
    each = send(publisher, point(3e6, ts="2024-05-30T00:00:00Z"), point(1e30, ts="2024-05-31T00:00:00Z"), mode="each")
    assert (each.status_code, each.json()["inserted"], each.json()["failed"]) == (200, 1, 1)


def test_a_key_that_is_not_the_features_writer_is_missing_scope(store: Served, publisher: httpx.Client) -> None:
    assert slug(send(publisher, point(14.0, VIX))) == "missing-scope"
    with store.client() as reader:
        assert slug(send(reader, point())) == "missing-scope"
    admin = known(store, store.key_with("admin"))
    assert send(admin, point(68_000.0, PRICE, "2024-06-03T09:00:00Z")).json()["inserted"] == 1


def test_the_same_again_is_answered_as_before(publisher: httpx.Client) -> None:
    points = [point(5e6, ts="2024-05-28T00:00:00Z")]
    headers = {"Idempotency-Key": "run-17"}
    first, again = send(publisher, *points, **headers), send(publisher, *points, **headers)
    assert first.json() == again.json() == {"inserted": 1, "duplicate": 0, "failed": 0, "errors": []}
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert slug(send(publisher, point(6e6), **headers)) == "idempotency-mismatch"


def test_a_body_that_is_none_is_refused(publisher: httpx.Client) -> None:
    as_json = {"Content-Type": "application/json"}
    for body in (b"{", b"[]", b'{"points": [{"featureId": 1}]}', b'{"points": [], "modus": 1}'):
        assert slug(publisher.post("/v1/publish", content=body, headers=as_json)) == "invalid-request"
    assert (
        slug(publisher.post("/v1/publish", content=b"x", headers={"Content-Type": "text/csv"}))
        == "unsupported-media-type"
    )
    gzipped = {**as_json, "Content-Encoding": "gzip"}
    assert slug(publisher.post("/v1/publish", content=b"x", headers=gzipped)) == "unsupported-media-type"
    many = [point(ts=f"2024-05-{1 + number % 28:02}T00:00:00Z") for number in range(10_001)]
    assert slug(send(publisher, *many)) == "too-large"
