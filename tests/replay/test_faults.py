"""Every fault over real HTTP: it does what it says to the requests it is meant for, and to no other."""

import time
from pathlib import Path

import httpx
import pytest

from tests.faults import clear_faults

from .server import Fred, write

SERIES = "ts,value,available_at\n2024-01-03,10,2024-01-04T21:30:00Z\n2024-01-10,,2024-01-11T21:30:00Z\n"


@pytest.fixture(autouse=True)
def series(folder: Path, fred: Fred) -> None:
    for name in ("ONE", "TWO"):
        write(folder, name, SERIES)


def add(fred: Fred, **fault: object) -> httpx.Response:
    return httpx.post(f"{fred.base_url}/_faults", json=fault, timeout=None)


def observations(fred: Fred, series: str = "ONE", **params: str) -> httpx.Response:
    return fred.get("series/observations", series, **params)


@pytest.mark.parametrize("status", [400, 403, 404, 418, 429, 451, 500, 502, 503, 504])
def test_a_status_comes_with_the_sources_own_body(fred: Fred, status: int) -> None:
    assert add(fred, kind="status", status=status, message="Exceeded.").status_code == 201
    answer = observations(fred)
    assert answer.status_code == status
    assert answer.json()["error_code"] == status
    assert answer.json()["error_message"].endswith("Exceeded.")
    assert "Retry-After" not in answer.headers
    assert observations(fred).status_code == 200


def test_retry_after_is_sent_when_asked_for(fred: Fred) -> None:
    add(fred, kind="status", status=429, retry_after=7)
    assert observations(fred).headers["Retry-After"] == "7"


def test_a_fault_waits_for_the_requests_it_is_meant_for(fred: Fred) -> None:
    add(fred, kind="status", status=500, source="fred", path="observations", series="ONE", count=2)
    assert observations(fred, "TWO").status_code == 200
    assert fred.get("series/vintagedates", "ONE").status_code == 200
    assert [observations(fred).status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_count_lasts_until_cleared(fred: Fred) -> None:
    add(fred, kind="html", count=None)
    assert [observations(fred).headers["Content-Type"] for _ in range(3)] == ["text/html; charset=utf-8"] * 3
    assert httpx.get(f"{fred.base_url}/_faults", timeout=None).json() == [{"kind": "html", "message": ""}]
    clear_faults(fred.base_url)
    assert observations(fred).json()["count"] == 2


def test_a_timeout_holds_the_answer_back(fred: Fred) -> None:
    add(fred, kind="timeout", seconds=0.3)
    began = time.monotonic()
    assert observations(fred).status_code == 200
    assert time.monotonic() - began >= 0.3
    add(fred, kind="timeout", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        fred.http.get("series", timeout=0.2)


def test_a_truncated_body_is_no_json(fred: Fred) -> None:
    add(fred, kind="truncated")
    answer = observations(fred)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


def test_a_disconnected_body_breaks_the_transfer(fred: Fred) -> None:
    add(fred, kind="disconnected")
    with pytest.raises(httpx.RemoteProtocolError):
        observations(fred)
    assert observations(fred).status_code == 200


def test_a_field_is_renamed_everywhere(fred: Fred) -> None:
    add(fred, kind="renamed", field="value", to="val")
    assert list(observations(fred).json()["observations"][0]) == [
        "realtime_start",
        "realtime_end",
        "date",
        "val",
    ]


def test_a_field_is_dropped_everywhere(fred: Fred) -> None:
    add(fred, kind="dropped", field="value")
    assert list(observations(fred).json()["observations"][0]) == ["realtime_start", "realtime_end", "date"]


def test_numbers_change_their_unit_and_not_known_stays_not_known(fred: Fred) -> None:
    add(fred, kind="scaled", field="value", factor="0.001")
    assert [row["value"] for row in observations(fred).json()["observations"]] == ["0.01", "."]


def test_a_parameter_is_ignored(fred: Fred) -> None:
    add(fred, kind="ignored", parameter="observation_start")
    assert observations(fred, observation_start="2024-01-10").json()["count"] == 2
    assert observations(fred, observation_start="2024-01-10").json()["count"] == 1


def test_a_wrong_key_is_called_not_registered(fred: Fred) -> None:
    add(fred, kind="wrong_key")
    assert fred.refusal("series", "ONE") == (
        "Bad Request.  The value for variable api_key is not registered.  "
        "Read https://fred.stlouisfed.org/docs/api/api_key.html for more information."
    )


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"kind": "renamed", "field": "value"}, "a fault of kind renamed needs to"),
        ({"kind": "status", "status": 302}, "status: Input should be 400, 403, 404"),
        ({"kind": "flood"}, "kind: Input should be 'status'"),
        ({"kind": "html", "colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_fault_is_refused_with_its_reason(fred: Fred, fault: dict[str, object], complaint: str) -> None:
    answer = add(fred, **fault)
    assert answer.status_code == 422
    assert complaint in answer.text
