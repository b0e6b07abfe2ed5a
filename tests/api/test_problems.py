"""Every kind of problem, by its slug; and requests that mean harm."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest

from feature_store.archive import commit_history, export, retire
from feature_store.serving.api.gate import MOST_BYTES
from feature_store.serving.api.problems import KINDS, TYPE

from .served import NOW, PRICE, VIX, Served, Told, until

BACKWARDS = "since=2024-05-29T00:00:00Z&until=2024-05-28T00:00:00Z"


def slug(answer: httpx.Response) -> str:
    """Of a problem that is one in every part."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    name = str(told["type"]).removeprefix(TYPE)
    assert told["status"] == answer.status_code == KINDS[name].status
    assert told["title"] == KINDS[name].title
    assert told["detail"]
    assert told["remedy"]
    assert told["instance"] == answer.request.url.path
    assert told["requestId"] == answer.headers["x-request-id"]
    return name


def test_no_key_is_missing_key(store: Served) -> None:
    with store.client(key="") as client:
        answer = client.get("/v1/latest")
    assert slug(answer) == "missing-key"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_key_is_invalid_key(store: Served) -> None:
    for key in ("fs_nothing", store.key[:-1] + ("A" if store.key[-1] != "A" else "B"), "x" * 5000):
        with store.client(key=key) as client:
            assert slug(client.get("/v1/latest")) == "invalid-key"


def test_an_old_key_is_expired_key(store: Served) -> None:
    key = store.key_with("read")
    with store.client(key=key) as client:
        until(lambda: client.get("/v1/catalog").is_success, "the key is known")
        store.conn.execute(
            """update ops.api_keys set created_at = created_at - interval '1 day', expires_at = created_at
               where key_id = %s""",
            (key[3:11],),
        )
        store.conn.commit()
        until(
            lambda: slug(client.get("/v1/catalog")) == "expired-key" if client.get("/v1/catalog").is_error else None,
            "it expires",
        )


def test_a_key_without_the_scope_is_missing_scope(store: Served) -> None:
    with store.client(key=store.key_with("publish")) as client:
        answer = until(
            lambda: found if (found := client.get("/v1/latest")).status_code != 401 else None, "the key is known"
        )
    assert slug(answer) == "missing-scope"
    assert answer.json()["scope"] == "read"


def test_too_many_requests_are_rate_limited(store: Served) -> None:
    with store.client(key=store.key_with("read", rate_limit_rpm=2)) as client:
        until(lambda: client.get("/v1/catalog").is_success, "the key is known")
        answer = until(
            lambda: found if (found := client.get("/v1/catalog")).status_code == 429 else None, "it is used up"
        )
    assert slug(answer) == "rate-limited"
    assert int(answer.headers["retry-after"]) > 0
    assert "ratelimit" in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/latest?featureIds=macro/us/vix",
        "/v1/query?featureIds=macro/us/vix",
        "/v1/revisions?featureId=macro/us/vix",
        "/v1/explain?featureId=macro/us/vix&ts=2024-05-29T00:00:00Z",
        "/v1/catalog/macro/us/vix",
    ],
)
def test_a_feature_that_there_is_not_is_unknown_feature(store: Served, path: str) -> None:
    answer = (
        store.get(path)
        if "?" not in path
        else httpx.get(
            store.url + path, headers={"Authorization": f"Bearer {store.key}"}, trust_env=False, timeout=None
        )
    )
    assert slug(answer) == "unknown-feature"
    assert VIX in answer.json()["detail"], "it says which one is like it"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("query?featureIds=" + VIX + "&since=2024-05-29T00:00:00", "query.since"),
        ("query?featureIds=" + VIX + "&since=2024-05-29", "query.since"),
        ("query?featureIds=" + VIX + "&since=2024-05-29T00:00:00+00:00", "query.since"),
        ("query?featureIds=" + VIX + "&since=0001-01-01T00:00:00%2B05:00", "query.since"),
        ("query?featureIds=" + VIX + "&limit=0", "query.limit"),
        ("query?featureIds=" + VIX + "&limit=1e3", "query.limit"),
        ("query?featureIds=" + VIX + "&limit=5&limit=6", "query.limit"),
        ("query?featureIds=" + VIX + "&strict=1", "query.strict"),
        ("query?featureIds=" + VIX + "&vintage=newest", "query.vintage"),
        ("query?featureIds=" + VIX + "&featureids=x", "query.featureids"),
        ("query", "query.featureIds"),
        ("query?featureIds=", "query.featureIds.0"),
        ("latest?feature=" + VIX, "query.feature"),
        ("catalog?entity=stock", "query.entity"),
        ("catalog/" + VIX + "?x=1", "query.x"),
        ("explain?featureId=" + VIX, "query.ts"),
        ("revisions?featureId=" + VIX + "&ts=2024-05-29T00:00:00Z&since=2024-05-29T00:00:00Z", "query.ts"),
        ("revisions?featureId=" + VIX + "&" + BACKWARDS, "query.until"),
        ("query?featureIds=" + VIX + "&" + BACKWARDS, "query.until"),
        ("payloads/abc", "path.sha256"),
        ("payloads/" + "A" * 64, "path.sha256"),
    ],
)
def test_a_request_that_makes_no_sense_is_invalid_request_and_says_where(store: Served, path: str, where: str) -> None:
    answer = httpx.get(
        f"{store.url}/v1/{path}", headers={"Authorization": f"Bearer {store.key}"}, trust_env=False, timeout=None
    )
    assert slug(answer) == "invalid-request"
    assert [mistake["where"] for mistake in answer.json()["errors"]] == [where]


def test_a_range_that_ends_before_it_begins_is_invalid_request(store: Served) -> None:
    asked = {"since": "2024-05-29T00:00:00Z", "until": "2024-05-28T00:00:00Z"}
    assert slug(store.get("/v1/query", featureIds=VIX, **asked)) == "invalid-request"
    assert slug(store.get("/v1/revisions", featureId=VIX, **asked)) == "invalid-request"


SPINE = [{"at": "2024-05-29T00:00:00Z"}]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"[" * 100_000, "body"),
        (b"\xff\xfe", "body"),
        (b"null", "body"),
        (b'{"spine": [], "featureIds": ["a/b"], "spines": 1}', "body.spines"),
        (json.dumps({"spine": [{"at": 5}], "featureIds": [VIX]}).encode(), "body.spine.0.at"),
        (json.dumps({"spine": [{"at": "2024-05-29T00:00:00"}], "featureIds": [VIX]}).encode(), "body.spine.0.at"),
        (json.dumps({"spine": SPINE, "featureIds": []}).encode(), "body.featureIds"),
        (json.dumps({"spine": SPINE, "featureIds": VIX}).encode(), "body.featureIds"),
        (json.dumps({"spine": SPINE, "featureIds": [VIX], "strict": "yes"}).encode(), "body.strict"),
        (json.dumps({"spine": SPINE, "featureIds": [VIX], "maxAge": "ten days"}).encode(), "body.maxAge"),
    ],
)
def test_a_body_that_makes_no_sense_is_invalid_request_and_says_where(store: Served, body: bytes, where: str) -> None:
    with store.client() as client:
        answer = client.post("/v1/historical", content=body, headers={"Content-Type": "application/json"})
    assert slug(answer) == "invalid-request"
    assert where in {mistake["where"] for mistake in answer.json()["errors"]}


@pytest.mark.parametrize("body", [b"", b"ARROW1", b"\xff\xff\xff\xff\x10\x00\x00\x00" + b"\x00" * 64, b"\x00" * 1000])
def test_bytes_that_are_no_arrow_are_invalid_request(store: Served, body: bytes) -> None:
    assert slug(arrow(store, body)) == "invalid-request"


def test_a_spine_in_arrow_without_instants_is_invalid_request(store: Served) -> None:
    for column in (pa.array([1]), pa.array([NOW.replace(tzinfo=None)]), pa.array([None], pa.timestamp("us", "UTC"))):
        assert slug(arrow(store, stream(pa.table({"at": column})))) == "invalid-request"
    assert slug(arrow(store, stream(pa.table({"when": pa.array([NOW])})))) == "invalid-request"


def arrow(store: Served, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    with store.client() as client:
        return client.post("/v1/historical", content=body, params={"featureIds": VIX}, headers=headers)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nothing", "/v2/latest", "/docs/../openapi.json", "/docs/x", "/latest"]
)
def test_a_path_that_there_is_not_is_not_found(store: Served, path: str) -> None:
    assert slug(store.get(path.replace("..", "%2e%2e"))) == "not-found"


def test_a_point_that_there_is_not_is_not_found(store: Served) -> None:
    assert slug(store.get("/v1/explain", featureId=VIX, ts="2024-05-25T00:00:00Z")) == "not-found"
    assert slug(store.get("/v1/payloads/" + "0" * 64)) == "not-found"


def test_another_method_is_method_not_allowed(store: Served) -> None:
    with store.client() as client:
        answer = client.delete("/v1/latest")
        assert slug(client.get("/v1/historical")) == "method-not-allowed"
    assert slug(answer) == "method-not-allowed"
    assert answer.headers["allow"] == "GET"


def test_a_form_that_there_is_not_is_not_acceptable(store: Served) -> None:
    with store.client(Accept="text/html") as client:
        assert slug(client.get("/v1/latest")) == "not-acceptable"
        assert slug(client.get("/v1/catalog")) == "not-acceptable"


def test_a_body_of_another_form_is_unsupported_media_type(store: Served) -> None:
    with store.client() as client:
        for headers in (
            {"Content-Type": "text/csv"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            {},
        ):
            assert slug(client.post("/v1/historical", content=b"{}", headers=headers)) == "unsupported-media-type"


def test_a_body_that_is_too_large_is_too_large_whether_it_says_so_or_not(store: Served) -> None:
    def without_length() -> Iterator[bytes]:
        yield from [b" " * 65_536] * (MOST_BYTES // 65_536 + 2)

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {store.key}"}
    assert (
        slug(
            httpx.post(
                f"{store.url}/v1/historical", content=without_length(), headers=headers, trust_env=False, timeout=None
            )
        )
        == "too-large"
    )
    with socket.create_connection(("127.0.0.1", int(store.url.rpartition(":")[2])), timeout=10) as raw:
        head = f"POST /v1/historical HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {store.key}\r\n"
        raw.sendall(f"{head}Content-Length: {MOST_BYTES + 1}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413 "), "it does not wait for the bytes"


def test_bytes_that_were_let_go_are_expired_bytes(store: Served) -> None:
    digest = "e" * 64
    store.conn.execute(
        "insert into raw.payloads (sha256, size_bytes, expired_at) values (%s, 5, ops.now()) on conflict do nothing",
        (digest,),
    )
    store.conn.commit()
    assert slug(store.get(f"/v1/payloads/{digest}")) == "expired-bytes"


@pytest.mark.parametrize(
    "bad",
    ["'; drop table ops.clock; --", "macro/us/vix_index' or '1'='1", "%27%20or%201=1", "\x00", "../../etc/passwd"],
)
def test_sql_in_a_parameter_is_a_name_that_nothing_has(store: Served, bad: str) -> None:
    for answer in (
        store.get("/v1/query", featureIds=bad),
        store.get("/v1/latest", featureIds=bad),
        store.get("/v1/revisions", featureId=bad),
        store.get("/v1/explain", featureId=bad, ts="2024-05-29T00:00:00Z"),
    ):
        assert slug(answer) == "unknown-feature"
    assert store.get("/v1/catalog", search=bad).json() == {"features": []}
    assert store.get("/v1/query", featureIds=PRICE, since=bad).status_code == 422


def test_the_request_id_is_the_senders_where_it_is_one(store: Served) -> None:
    with store.client() as client:
        assert client.get("/v1/latest", headers={"X-Request-Id": "job-17.a_B"}).headers["x-request-id"] == "job-17.a_B"
        assert client.get("/v1/latest", headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"
        assert len(client.get("/v1/latest").headers["x-request-id"]) == 32


def test_every_answer_has_headers_that_protect_browsers(store: Served) -> None:
    for path in ("/v1/latest", "/v1/nothing", "/docs", "/healthz"):
        headers = store.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert store.get("/v1/latest").headers["cache-control"] == "no-store"


def iso(at: Any) -> str:
    return str(at.isoformat())


def test_an_archive_that_is_away_is_archive_away(store: Served, s3: Any) -> None:
    old = NOW - timedelta(days=200)
    store.append([Told(PRICE, old, 1.0, old + timedelta(minutes=1))])
    export(store.conn, store.settings)
    commit_history(store.conn, store.settings)
    retire(store.conn, store.settings, store.catalog)
    asked = {"featureIds": PRICE, "since": iso(old), "until": iso(old + timedelta(minutes=1))}
    assert len(store.get("/v1/query", **asked).json()["points"]) == 1
    s3.stop()
    try:
        answer = store.get("/v1/query", **asked)
        assert slug(answer) == "archive-away"
        assert int(answer.headers["retry-after"]) > 0
        assert store.get("/v1/latest").is_success, "what does not need it goes on"
    finally:
        s3.start()
