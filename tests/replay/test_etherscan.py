"""Etherscan's oracle over real HTTP: what it answers when, and its refusals, which have status 200."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.catalog import load_catalog
from feature_store.warehouse.ingest import NO_KEY
from tests.faults import add_fault, clear_faults
from tests.recordings import RECORDED, needs_recordings

from .conftest import GENERATED_AT
from .server import KEY, Wall, serving, write

REAL = RECORDED / "etherscan"
ASKED = {"chainid": "1", "module": "gastracker", "action": "gasoracle", "apikey": KEY}
PRICES = """ts,value
2024-03-01T11:55:00Z,24.700000001
2024-03-01T12:00:00Z,0.507
2024-03-01T12:05:00Z,31
"""


class Api:
    """A client with a well-formed key."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def get(self, **changes: str) -> httpx.Response:
        asked = {name: value for name, value in {**ASKED, **changes}.items() if value}
        return httpx.get(f"{self.base_url}/etherscan/api", params=asked, timeout=None, trust_env=False)

    def refusal(self, **changes: str) -> str:
        answer = self.get(**changes)
        assert answer.status_code == 200
        assert list(answer.json()) == ["status", "message", "result"]
        assert (answer.json()["status"], answer.json()["message"]) == ("0", "NOTOK")
        return str(answer.json()["result"])

    def fault(self, **fault: Any) -> None:
        add_fault(self.base_url, **fault)


@pytest.fixture
def api(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Api:
    clear_faults(shared_server[0])
    write(folder, "ProposeGasPrice", PRICES, "etherscan/gasoracle")
    return Api(shared_server[0])


def test_the_answer_is_that_of_now_in_texts(api: Api, wall: Wall) -> None:
    wall.turn("2024-03-01T12:04:59+00:00")
    answer = api.get()
    assert answer.text == (
        '{"status":"1","message":"OK","result":{"LastBlock":"19376604","SafeGasPrice":"0.49686",'
        '"ProposeGasPrice":"0.507","FastGasPrice":"0.56277","suggestBaseFee":"0.496353",'
        f'"gasUsedRatio":"{answer.json()["result"]["gasUsedRatio"]}"}}}}'
    )
    ratios = answer.json()["result"]["gasUsedRatio"].split(",")
    assert [0 < float(ratio) < 1 for ratio in ratios] == [True] * 5
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Date"] == "Fri, 01 Mar 2024 12:04:59 GMT"


def test_prices_go_with_the_clock_and_blocks_every_twelve_seconds(api: Api, wall: Wall) -> None:
    seen = []
    for instant in ("11:59:59", "12:00:00", "12:05:00", "12:05:12"):
        wall.turn(f"2024-03-01T{instant}+00:00")
        result = api.get().json()["result"]
        seen.append((result["ProposeGasPrice"], int(result["LastBlock"]) - 19_376_579))
    assert seen == [("24.700000001", 0), ("0.507", 0), ("31", 25), ("31", 26)]


def test_prices_ascend_from_safe_to_fast(api: Api) -> None:
    result = {name: float(value) for name, value in api.get().json()["result"].items() if "," not in value}
    assert result["suggestBaseFee"] < result["SafeGasPrice"] < result["ProposeGasPrice"] < result["FastGasPrice"]


def test_before_the_first_price_no_records_are_found(api: Api, wall: Wall) -> None:
    wall.turn("2024-03-01T11:54:59+00:00")
    assert api.get().text == '{"status":"0","message":"No records found","result":[]}'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"apikey": ""}, "Missing/Invalid API Key"),
        ({"apikey": "short"}, "Missing/Invalid API Key"),
        ({"chainid": ""}, "Missing or unsupported chainid parameter (required for v2 api)"),
        ({"chainid": "8453"}, "Free API access is not supported for this chain."),
        ({"action": "nothing"}, "Error! Missing Or invalid Action name"),
        (
            {"module": "stats", "action": "dailyavggasprice"},
            "Sorry, it looks like you are trying to access an API Pro endpoint. Contact us to upgrade to API Pro.",
        ),
    ],
)
def test_refusals_have_status_200(api: Api, change: dict[str, str], words: str) -> None:
    assert api.refusal(**change) == words


def test_a_key_may_be_of_either_form(api: Api) -> None:
    for key in (NO_KEY, "Z" * 34):
        assert api.get(apikey=key).json()["status"] == "1"


def test_a_fault_of_status_429_is_a_limit_with_status_200(api: Api) -> None:
    api.fault(kind="status", status=429, source="etherscan", series="ProposeGasPrice")
    assert api.refusal() == "Max calls per sec rate limit reached (3/sec)"
    quota = "Max daily rate limit reached. 100000 (100%) of 100000 day/limit"
    api.fault(kind="status", status=429, message=quota)
    assert api.refusal() == quota
    assert api.get().json()["status"] == "1"


def test_a_wrong_key_is_told_with_status_200(api: Api) -> None:
    api.fault(kind="wrong_key", source="etherscan")
    assert api.refusal() == "Missing/Invalid API Key"


@pytest.mark.parametrize("status", [403, 502])
def test_the_firewall_answers_with_a_page(api: Api, status: int) -> None:
    api.fault(kind="status", status=status)
    answer = api.get()
    assert answer.status_code == status
    assert answer.text.startswith("<!DOCTYPE html>")
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"


def test_fields_can_be_spoilt(api: Api) -> None:
    api.fault(kind="renamed", field="ProposeGasPrice", to="StandardGasPrice")
    assert "StandardGasPrice" in api.get().json()["result"]
    api.fault(kind="scaled", field="ProposeGasPrice", factor="1000000000")
    assert api.get().json()["result"]["ProposeGasPrice"] == "507000000.000"


# The generated folder


def prices(folder: Path) -> list[list[str]]:
    return list(csv.reader((folder / "etherscan/gasoracle/ProposeGasPrice.csv").open()))[1:]


def test_there_is_a_price_every_five_minutes_for_thirty_days_either_way(generated: Path) -> None:
    instants = [datetime.fromisoformat(ts) for ts, _ in prices(generated)]
    start = datetime(2026, 10, 23, tzinfo=UTC)
    assert instants == [start + timedelta(minutes=5 * at) for at in range(61 * 288)]


def test_prices_are_fractions_of_a_gwei_and_follow_the_hours_of_the_week(generated: Path) -> None:
    found = [(datetime.fromisoformat(ts), float(value)) for ts, value in prices(generated)]
    low, high = load_catalog().feature("onchain/eth/gas_price_gwei").quality.expected_range
    assert low < 0.49 <= min(value for _, value in found) < 1
    assert 8 < max(value for _, value in found) <= 30 < high
    assert all(len(value.partition(".")[2]) == 9 for _, value in prices(generated))

    def mean(hours: range, weekend: bool) -> float:
        chosen = [value for at, value in found if at.hour in hours and (at.weekday() >= 5) == weekend]
        return sum(chosen) / len(chosen)

    assert mean(range(13, 18), weekend=False) > 1.5 * mean(range(3, 8), weekend=False)
    assert mean(range(13, 18), weekend=False) > 1.1 * mean(range(13, 18), weekend=True)


def test_generating_later_only_adds_prices(generated: Path, extended: Path) -> None:
    before, after = prices(generated), prices(extended)
    assert after[: len(before)] == before
    assert after[len(before)][0] == "2026-12-23T00:00:00Z"


def test_the_generated_prices_are_served(generated: Path) -> None:
    with serving(generated, Wall(GENERATED_AT.isoformat())) as url:
        result = Api(url).get().json()["result"]
    assert ["2026-11-22T12:00:00Z", result["ProposeGasPrice"]] in prices(generated)


# Recorded answers


@needs_recordings
def test_the_fields_are_the_recorded_ones(api: Api) -> None:
    told = json.loads((REAL / "etherscan-python/logs_standard_get_gas_oracle.json").read_text())["res"]
    result = api.get().json()["result"]
    assert list(result) == [*told, "suggestBaseFee", "gasUsedRatio"]  # the last two came a year after the recording
    assert {type(value) for value in result.values()} == {str}


@needs_recordings
def test_refusals_are_the_recorded_ones(api: Api, wall: Wall) -> None:
    told = [json.loads(line) for line in (REAL / "transcribed/errors.jsonl").read_text().splitlines()]
    bodies = {str(line["body"]["result"]): (line["http_status"], line["body"]) for line in told}
    api.fault(kind="status", status=429)
    answers = [api.get(), api.get(apikey="x"), api.get(module="stats", action="dailyavggasprice")]
    wall.turn("2020-01-01T00:00:00+00:00")
    answers.append(api.get())
    for answer in answers:
        status, body = bodies[str(answer.json()["result"])]
        assert (answer.status_code, answer.text) == (status, json.dumps(body, separators=(",", ":")))
