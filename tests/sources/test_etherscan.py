"""Etherscan's answers, which all have status 200, and every trap in them, through the connector alone."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from feature_store.catalog import load_catalog
from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import CircuitOpen, Malformed, Refused, Retriable, TooFast
from feature_store.sources import etherscan
from feature_store.sources.budget import unlimited
from feature_store.sources.circuit import Circuit
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Http
from tests.recordings import RECORDED, needs_recordings

from .upstream import Answer, Upstream, answering

REAL = RECORDED / "etherscan"
NOW = datetime(2026, 7, 23, 17, 30, 1, 250_000, tzinfo=UTC)
KEY = "SECRETKEY0123456789ABCDEFGHIJKLMNO"
QUOTA = "Max daily rate limit reached. 100000 (100%) of 100000 day/limit"
OF_2020 = {"LastBlock": "11145000", "SafeGasPrice": "61", "ProposeGasPrice": "80", "FastGasPrice": "88"}
ORACLE = {
    "LastBlock": "23456789",
    "SafeGasPrice": "0.496839934",
    "ProposeGasPrice": "0.512",
    "FastGasPrice": "0.6",
    "suggestBaseFee": "0.496839933",
    "gasUsedRatio": "0.0422,0.6361,1,0,0.5",
}


def body(status: str = "1", message: str = "OK", result: Any = None) -> str:
    return json.dumps({"status": status, "message": message, "result": ORACLE if result is None else result})


def payload(text: str) -> Payload:
    return Payload("api", "http://x/api", etherscan.ORACLE, 200, "application/json", text.encode(), 1, NOW)


def rows_of(text: str) -> list[Row]:
    return list(etherscan.parse(payload(text)))


def spec() -> SeriesSpec:
    (found,) = load_catalog().series("etherscan", "gasoracle")
    return found


def test_a_row_is_dated_by_its_arrival_and_keeps_the_exact_digits() -> None:
    (read,) = rows_of(body())
    assert (read.series, read.ts) == (spec().name, NOW)
    assert read.values == {
        "value": "0.512",
        "last_block": "23456789",
        "safe_gas_price": "0.496839934",
        "fast_gas_price": "0.6",
        "suggest_base_fee": "0.496839933",
        "gas_used_ratio": "0.0422,0.6361,1,0,0.5",
    }


def test_the_whole_prices_of_2020_come_without_a_base_fee() -> None:
    (read,) = rows_of(body(result=OF_2020))
    assert read.values["value"] == "80"
    assert read.values["suggest_base_fee"] is None
    assert read.values["gas_used_ratio"] is None


def test_a_success_that_warns_of_the_key_is_a_success() -> None:
    message = "OK-Missing/Invalid API Key, rate limit of 1/5sec applied"
    assert len(rows_of(body(message=message))) == 1


def test_no_records_found_is_empty_and_no_error() -> None:
    assert rows_of(body("0", "No records found", [])) == []


@pytest.mark.parametrize("name", ["LastBlock", "SafeGasPrice", "ProposeGasPrice", "FastGasPrice"])
def test_a_missing_field_is_malformed(name: str) -> None:
    result = {field: value for field, value in ORACLE.items() if field != name}
    with pytest.raises(Malformed, match=f"lacks \\['{name}'\\]"):
        rows_of(body(result=result))


@pytest.mark.parametrize("name", ["status", "message", "result"])
def test_a_body_without_its_members_is_malformed(name: str) -> None:
    content = {member: value for member, value in json.loads(body()).items() if member != name}
    with pytest.raises(Malformed, match=f"lacks \\['{name}'\\]"):
        rows_of(json.dumps(content))


def test_an_unknown_field_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert len(rows_of(body(result={**ORACLE, "blobFee": "1"}))) == 1
    assert "unknown fields ['blobFee']" in caplog.text


@pytest.mark.parametrize("name", list(ORACLE))
@pytest.mark.parametrize("value", ["", "-1", "NaN", "0x1f", "1e9", "1,000", 0.5, None, ["1"]])
def test_what_is_no_number_in_a_text_is_malformed(name: str, value: Any) -> None:
    if (name, value) == ("gasUsedRatio", "1,000"):
        pytest.skip("two ratios")
    with pytest.raises(Malformed, match=name):
        rows_of(body(result={**ORACLE, name: value}))


@pytest.mark.parametrize(
    "text",
    [
        "[]", "null", '"1"', "<html></html>", body()[:-9], body("2"), body("0"), body("0", "NOTOK", QUOTA),
        body("1", "OK", "text"), body("1", "OK", []), json.dumps({"status": 1, "message": "OK", "result": ORACLE}),
    ],
)  # fmt: skip
def test_every_other_body_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        rows_of(text)


# Fetching


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with answering() as source:
        yield source


def fetched(source: Upstream, text: str) -> list[Payload]:
    source.usual = Answer(body=text)
    with Http(source.url, unlimited(), {"apikey": KEY}, lambda: NOW) as http:
        return list(etherscan.fetch(http, spec(), Window(NOW, NOW)))


def test_the_key_is_in_no_url_log_error_or_payload(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (answer,) = fetched(upstream, body())
    assert answer.url == f"{upstream.url}/api?chainid=1&module=gastracker&action=gasoracle"
    with pytest.raises(Refused) as refused:
        fetched(upstream, body("0", "NOTOK", f"Invalid API Key (#err2)|{KEY}"))
    with pytest.raises(Refused) as other:
        fetched(upstream, body("0", "NOTOK", f"Something about {KEY}"))
    assert KEY not in f"{answer!r}{refused.value!r}{other.value!r}{refused.value.payload!r}{caplog.text}"


def test_the_address_is_that_of_version_2() -> None:
    source = load_catalog().source("etherscan")
    assert f"{source.base_url}/{etherscan.ENDPOINT}" == "https://api.etherscan.io/v2/api"


@pytest.mark.parametrize(
    "words",
    [
        "Max calls per sec rate limit reached (3/sec)",
        "Max rate limit reached, please use API Key for higher rate limit",
    ],
)
def test_a_limit_with_status_200_asks_for_patience(upstream: Upstream, words: str) -> None:
    with pytest.raises(TooFast, match="rate limit") as refused:
        fetched(upstream, body("0", "NOTOK", words))
    assert refused.value.wait_seconds == 1
    assert refused.value.payload is not None


def test_a_spent_quota_waits_until_the_day_ends(upstream: Upstream) -> None:
    before = datetime.now(UTC)
    with pytest.raises(Retriable, match="daily") as refused:
        fetched(upstream, body("0", "NOTOK", QUOTA))
    seconds = refused.value.wait_seconds
    assert seconds is not None
    left = 86_400 - (before - before.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    assert min(abs(seconds - left), abs(seconds - left - 86_400)) < 60


def test_after_a_spent_quota_nobody_asks(upstream: Upstream, db: psycopg.Connection, dsn: str) -> None:
    upstream.usual = Answer(body=body("0", "NOTOK", QUOTA))
    circuit = Circuit(dsn, "etherscan", "api.etherscan.io")
    with Http(upstream.url, unlimited(), {"apikey": KEY}, lambda: NOW, circuit) as http:
        for error in (Retriable, CircuitOpen):
            with pytest.raises(error):
                list(etherscan.fetch(http, spec(), Window(NOW, NOW)))
    assert len(upstream.arrivals) == 1


@pytest.mark.parametrize(
    "words",
    [
        "Missing/Invalid API Key",
        "Too many invalid api key attempts, please try again later",
        "Sorry, it looks like you are trying to access an API Pro endpoint. Contact us to upgrade to API Pro.",
        "Free API access is not supported for this chain.",
        "Words that nobody has heard",
    ],
)
def test_a_wrong_key_and_a_wrong_tier_are_refused_for_good(upstream: Upstream, words: str) -> None:
    with pytest.raises(Refused) as refused:
        fetched(upstream, body("0", "NOTOK", words))
    assert words in str(refused.value)
    assert ("ETHERSCAN_API_KEY" in str(refused.value)) == ("api key" in words.lower())


def test_a_busy_server_may_be_asked_again(upstream: Upstream) -> None:
    with pytest.raises(Retriable):
        fetched(upstream, body("0", "NOTOK", "Unexpected error, timeout or server too busy. Please try again later"))


@pytest.mark.parametrize("text", ["[]", body("0", "No records found", []), body("3")])
def test_what_is_no_refusal_lands(upstream: Upstream, text: str) -> None:
    assert [answer.content.decode() for answer in fetched(upstream, text)] == [text]


def test_what_is_no_json_comes_with_its_error(upstream: Upstream) -> None:
    with pytest.raises(Malformed, match="HTML") as error:
        fetched(upstream, "<html>no</html>")
    assert error.value.payload is not None
    assert error.value.payload.content == b"<html>no</html>"


# Recorded answers


@needs_recordings
def test_the_recorded_oracle_is_read() -> None:
    told = json.loads((REAL / "etherscan-python/logs_standard_get_gas_oracle.json").read_text())["res"]
    (read,) = rows_of(body(result=told))
    assert read.values == {
        "value": "82",
        "last_block": "11145141",
        "safe_gas_price": "62",
        "fast_gas_price": "89",
        "suggest_base_fee": None,
        "gas_used_ratio": None,
    }


@needs_recordings
def test_each_recorded_refusal_is_understood(upstream: Upstream) -> None:
    kinds = []
    for line in (REAL / "transcribed/errors.jsonl").read_text().splitlines():
        try:
            kinds.append(len(rows_of(fetched(upstream, json.dumps(json.loads(line)["body"]))[0].content.decode())))
        except (Refused, Retriable) as error:
            kinds.append(type(error))  # type: ignore[arg-type]
    assert kinds == [TooFast, TooFast, TooFast, Retriable, Refused, Refused, 0]
