"""Every endpoint says what the query layer says, in every form."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest

from feature_store.archive import move_payloads
from feature_store.serving import backfilled_share
from feature_store.serving.api.forms import Form, accepted
from feature_store.serving.api.problems import Problem

from .served import ANSWER, GAS, LIQUIDITY, NOW, PRICE, VIX, Served, Told

POINT_NAMES = [
    "featureId", "ts", "value", "stale", "confidence", "meta", "evidence", "availableAt", "availableBasis",
    "ingestedAt", "provisional", "version",
]  # fmt: skip


def read(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of an answer as JSON has them, whatever its form."""
    answer.raise_for_status()
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == Form.JSON.value:
        return next(value for value in answer.json().values() if isinstance(value, list))
    if kind == Form.NDJSON.value:
        return [json.loads(line) for line in answer.text.splitlines()]
    if kind == Form.CSV.value:
        return [
            {name: typed(name, text) for name, text in row.items()} for row in csv.DictReader(io.StringIO(answer.text))
        ]
    table = pa.ipc.open_stream(answer.content).read_all()
    return [{name: plain(name, value) for name, value in row.items()} for row in table.to_pylist()]


def typed(name: str, text: str) -> Any:
    """A field of CSV."""
    if name in ("meta", "evidence", "stale", "provisional", "version", "confidence", "value"):
        return json.loads(text) if text else None
    return text or None


def plain(name: str, value: Any) -> Any:
    """A value of Arrow."""
    if isinstance(value, datetime):
        return wire(value)
    return json.loads(value) if name in ("meta", "evidence") else value


def wire(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("vintage", ["latest", "first", "all"])
def test_a_query_is_the_query_layers_answer_in_every_form(store: Served, form: Form, vintage: Any) -> None:
    with store.client(Accept=form.value) as client:
        told = read(client.get("/v1/query", params={"featureIds": f"{VIX},{PRICE}", "vintage": vintage}))
    held = store.layer.query([VIX, PRICE], vintage=vintage)
    assert [(row["featureId"], row["ts"], row["value"], row["availableAt"], row["ingestedAt"]) for row in told] == [
        (row["feature_id"], wire(row["ts"]), row["value"], wire(row["available_at"]), wire(row["ingested_at"]))
        for row in held.to_pylist()
    ]
    assert [row["meta"] for row in told] == [json.loads(text) for text in held["meta"].to_pylist()]
    assert list(told[0]) == POINT_NAMES
    assert any(row["value"] is None for row in told) == (vintage == "all")


def test_as_of_and_as_stored_ask_for_a_state(store: Served) -> None:
    ts = "2024-06-03T10:05:00Z"
    asked = {"featureIds": PRICE, "since": ts, "until": "2024-06-03T10:05:01Z"}
    assert read(store.get("/v1/query", **asked))[0]["value"] == 1.5
    assert read(store.get("/v1/query", **asked, asOf="2024-06-03T11:00:00+00:00"))[0]["value"] == 67_005.1
    assert read(store.get("/v1/query", **asked, asStored="2024-06-03T12:00:00Z"))[0]["value"] == 67_005.1
    assert read(store.get("/v1/query", featureIds=VIX, asOf="2024-06-01T00:00:00Z")) == []
    assert len(read(store.get("/v1/query", featureIds=VIX, asOf="2024-06-01T00:00:00Z", strict="false"))) == 4


def test_the_backfilled_share_is_told_of_a_page(store: Served) -> None:
    answer = store.get("/v1/query", featureIds=[VIX, PRICE], limit=8)
    assert answer.json()["backfilledShare"] == 0.5
    assert json.loads(answer.headers["Backfilled-Share"]) == 0.5
    assert answer.headers["As-Stored"] == answer.json()["asStored"]


def test_a_point_is_stale_by_the_formula_of_the_view(store: Served) -> None:
    latest = {row["featureId"]: row["stale"] for row in read(store.get("/v1/latest"))}
    for feature, stale in latest.items():
        assert read(store.get("/v1/query", featureIds=feature))[-1]["stale"] == stale
    assert latest[VIX] is False, "the weekend and the hours before the market opens age no session"
    assert latest[PRICE] is True


def test_numbers_come_back_as_they_were(store: Served) -> None:
    values = [5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0.0, 123_456_789_012_345.6, 1e22]
    start = datetime(2023, 1, 1, tzinfo=UTC)
    store.append(
        [
            Told(GAS, start + timedelta(seconds=number), value, start + timedelta(days=1))
            for number, value in enumerate(values)
        ]
    )
    for form in Form:
        with store.client(Accept=form.value) as client:
            told = read(client.get("/v1/query", params={"featureIds": GAS, "until": "2024-01-01T00:00:00Z"}))
        assert [float(row["value"]).hex() for row in told] == [value.hex() for value in values], form


@pytest.mark.parametrize("form", Form)
def test_a_join_is_the_query_layers_in_every_form(store: Served, form: Form) -> None:
    at = [NOW - timedelta(minutes=minutes) for minutes in (90, 200, 61, 0)]
    spine = pa.table({"at": pa.array(at, pa.timestamp("us", "UTC"))})
    held = store.layer.historical(spine, [PRICE, VIX], strict=False)
    body = {"spine": [{"at": wire(instant)} for instant in at], "featureIds": [PRICE, VIX], "strict": False}
    with store.client(Accept=form.value) as client:
        answer = client.post("/v1/historical", json=body)
    rows = read(answer)
    if form is Form.JSON:
        rows = [{"at": row["at"], **row["values"]} for row in rows]
    number = {name: [None if row[name] in (None, "") else float(row[name]) for row in rows] for name in (PRICE, VIX)}
    assert [row["at"] for row in rows] == [wire(instant) for instant in at]
    assert number == {name: held[name].to_pylist() for name in (PRICE, VIX)}
    assert json.loads(answer.headers["Backfilled-Share"]) == backfilled_share(held)


def test_a_spine_comes_as_arrow_too(store: Served) -> None:
    at = [NOW, NOW - timedelta(minutes=90)]
    spine = pa.table(
        {"at": pa.array(at, pa.timestamp("ms", "UTC")), "as_of": pa.array([None, NOW], pa.timestamp("us", "UTC"))}
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, spine.schema) as writer:
        writer.write_table(spine)
    as_json = {
        "spine": [{"at": wire(at[0])}, {"at": wire(at[1]), "asOf": wire(NOW)}],
        "featureIds": [PRICE],
        "detail": True,
    }
    with store.client() as client:
        told = client.post(
            "/v1/historical",
            content=sink.getvalue(),
            params={"featureIds": PRICE, "detail": "true"},
            headers={"Content-Type": Form.ARROW.value},
        )
        same = client.post("/v1/historical", json=as_json)
    assert told.status_code == 200, told.text
    assert told.json() == same.json()
    assert told.json()["rows"][0]["points"][PRICE] == {
        "ts": "2024-06-03T10:59:00Z",
        "validAt": "2024-06-03T11:00:00Z",
        "availableAt": "2024-06-03T11:00:00Z",
        "availableBasis": "schedule",
    }


def test_what_is_older_than_max_age_is_left_out(store: Served) -> None:
    body = {"spine": [{"at": wire(NOW)}], "featureIds": [PRICE, VIX], "strict": False}
    with store.client() as client:
        whole = client.post("/v1/historical", json={**body, "maxAge": "PT30M"}).json()
        each = client.post("/v1/historical", json={**body, "maxAge": {PRICE: "PT2H"}}).json()
        wrong = client.post("/v1/historical", json={**body, "maxAge": {GAS: "PT2H"}})
        months = client.post("/v1/historical", json={**body, "maxAge": "P1M"})
    assert whole["rows"][0]["values"][PRICE] is None
    assert each["rows"][0]["values"][PRICE] == 67_059.1
    assert GAS in wrong.json()["detail"]
    assert months.status_code == 422


def test_revisions_are_the_triangle(store: Served) -> None:
    told = store.get("/v1/revisions", featureId=PRICE, ts="2024-06-03T10:05:00Z").json()
    assert told["featureId"] == PRICE
    assert [version["value"] for version in told["versions"]] == [67_005.1, 1.5]
    whole = read(store.get("/v1/revisions", featureId=PRICE, since="2024-06-03T00:00:00Z"))
    assert [row["value"] for row in whole] == store.layer.revisions(PRICE)["value"].to_pylist()
    assert whole[7:10][1]["value"] is None or None in [row["value"] for row in whole]


def test_too_many_revisions_are_refused(store: Served) -> None:
    answer = store.get("/v1/revisions", featureId=PRICE, limit=10)
    assert answer.status_code == 422
    assert "narrow the range" in answer.json()["detail"]


def test_explain_leads_to_the_bytes(store: Served) -> None:
    told = store.get("/v1/explain", featureId=PRICE, ts="2024-06-03T10:06:00Z").json()
    [source] = told["sources"]
    assert source["payload"] == "database"
    answer = store.get(source["download"])
    assert answer.content == ANSWER
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment")
    move_payloads(store.conn, store.settings)
    assert (
        store.get("/v1/explain", featureId=PRICE, ts="2024-06-03T10:06:00Z")
        .json()["sources"][0]["payload"]
        .startswith("s3://")
    )
    assert store.get(source["download"]).content == ANSWER


def test_explain_of_a_derived_value_leads_to_its_inputs(store: Served) -> None:
    told = store.get("/v1/explain", featureId=LIQUIDITY, ts="2024-05-29T00:00:00Z").json()
    assert [(part["featureId"], part["ts"], part["value"]) for part in told["inputs"]] == [
        (VIX, "2024-05-29T00:00:00Z", 13.5)
    ]


def test_an_assessment_is_told_by_every_reader_and_explained(store: Served) -> None:
    ts = NOW - timedelta(minutes=100)
    at = {"featureId": PRICE, "ts": ts.isoformat().replace("+00:00", "Z")}
    asked = {"featureIds": PRICE, "since": at["ts"], "until": (ts + timedelta(seconds=1)).isoformat()[:19] + "Z"}
    before = store.get("/v1/query", **asked)
    assert store.get("/v1/explain", **at).json()["assessment"] is None
    store.assess(PRICE, ts, 0.25)
    [point] = store.get("/v1/query", **asked).json()["points"]
    assert point == {**before.json()["points"][0], "confidence": 0.25}
    assert store.get("/v1/revisions", **at).json()["versions"][-1]["confidence"] == 0.25
    told = store.get("/v1/explain", **at).json()
    assert told["confidence"] == 0.25
    assert (told["assessment"]["reasons"], told["assessment"]["confidenceAtIngest"]) == ({"agreement": 0.5}, 0.9)
    earlier = {"asStored": before.headers["as-stored"]}
    assert store.get("/v1/query", **asked, **earlier).json()["points"] == before.json()["points"]
    assert store.get("/v1/explain", **at, **earlier).json()["assessment"] is None


def test_a_page_that_a_source_sent_is_never_shown_as_one(store: Served) -> None:
    store.land(b"<html><script>alert(1)</script></html>", "text/html; charset=utf-8")
    digest = "".join(
        store.conn.execute("select sha256 from raw.fetches where content_type like 'text/html%'").fetchone() or ()
    )
    store.conn.commit()
    answer = store.get(f"/v1/payloads/{digest}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_catalog_is_the_catalog(store: Served) -> None:
    assert store.get("/v1/catalog").json()["features"] == [
        feature.wire() for feature in store.catalog.features.values()
    ]
    assert store.get(f"/v1/catalog/{VIX}").json() == store.catalog.feature(VIX).wire()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"search": "vOLATility"}, [VIX]),
        ({"tag": "volatility"}, [VIX]),
        ({"source": "tradingview", "search": "vix"}, [VIX]),
        ({"entity": "asset", "tag": "volatility"}, []),
        ({"search": "v_x"}, []),
    ],
)
def test_the_catalog_is_searched_by_all_that_is_asked(
    store: Served, asked: dict[str, str], expected: list[str]
) -> None:
    assert [feature["id"] for feature in store.get("/v1/catalog", **asked).json()["features"]] == expected


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("*/*", Form.JSON),
        ("text/csv", Form.CSV),
        ("text/csv, */*", Form.CSV),
        ("application/json;q=0.5, text/*", Form.CSV),
        ("application/json;q=0.5, application/x-ndjson;q=0.6", Form.NDJSON),
        ("application/json;q=0, */*;q=0.1", Form.CSV),
        ("image/png, application/vnd.apache.arrow.stream;q=0.2", Form.ARROW),
    ],
)
def test_accept_chooses_the_form(accept: str | None, form: Form) -> None:
    assert accepted(accept) is form


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "nonsense", "application/json;q=2"])
def test_a_form_that_there_is_not_is_refused(accept: str) -> None:
    with pytest.raises(Problem, match="Accept"):
        accepted(accept)
