"""Etherscan: what gas costs on Ethereum now, in gwei. https://docs.etherscan.io/api-reference/endpoint/gasoracle

Every answer has status 200: the `status` of its body alone tells a success from a limit or a wrong key, and a success
may say in its `message` that the key is missing. The oracle states no instant: its row is dated by when it arrived.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused, Retriable, SourceError, TooFast
from feature_store.sources.contract import Payload, Row, Value, Window, check_fields
from feature_store.sources.http import Http
from feature_store.sources.patience import seconds_to_next_day

SECRET_PARAMS = {"apikey": "ETHERSCAN_API_KEY"}

SERIES = "ProposeGasPrice"
ENDPOINT = "api"
ORACLE = {"chainid": "1", "module": "gastracker", "action": "gasoracle"}

SUCCESS, FAILURE = "1", "0"
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
"""Whole gwei until 2021, with fractions since."""
INTEGER = re.compile(r"[0-9]+")
RATIOS = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:,[0-9]+(?:\.[0-9]+)?)*")
EXAMPLES = {NUMBER: "0.496839934", INTEGER: "23456789", RATIOS: "0.0422,0.6361"}
BURST_SECONDS = 1.0
_BODY = frozenset({"status", "message", "result"})
_ORACLE = frozenset({"LastBlock", "SafeGasPrice", "ProposeGasPrice", "FastGasPrice"})
_SINCE_2021 = frozenset({"suggestBaseFee", "gasUsedRatio"})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """The one answer of now.

    Raises TooFast beyond the limit of a second, Retriable when the day's quota is spent or the server is busy, Refused
    for a wrong key, a tier or chain that the key is not for, and refusals in words that are not known.
    """
    answer = http.get(ENDPOINT, ORACLE)
    body = answer.json()
    if isinstance(body, dict) and body.get("status") == FAILURE and body.get("result") != []:
        raise _refusal(http, answer, str(body.get("result")))
    yield answer


def parse(payload: Payload) -> Iterator[Row]:
    """One row, or none where no records are found; Malformed for every other body that is no success."""
    body = payload.json()
    if not isinstance(body, dict):
        raise Malformed(f"{payload.url} answered no object", payload)
    check_fields(payload, body, _BODY)
    result = body["result"]
    if body["status"] == FAILURE and result == []:
        return
    if body["status"] != SUCCESS or not isinstance(result, dict):
        raise Malformed(f"{payload.url} answered with status {body['status']!r} and no gas oracle", payload)
    check_fields(payload, {name: result[name] for name in result.keys() - _SINCE_2021}, _ORACLE)
    values: dict[str, Value] = {
        "value": _matching(payload, result, "ProposeGasPrice", NUMBER),
        "last_block": _matching(payload, result, "LastBlock", INTEGER),
        "safe_gas_price": _matching(payload, result, "SafeGasPrice", NUMBER),
        "fast_gas_price": _matching(payload, result, "FastGasPrice", NUMBER),
        "suggest_base_fee": None,
        "gas_used_ratio": None,
    }
    if "suggestBaseFee" in result:
        values["suggest_base_fee"] = _matching(payload, result, "suggestBaseFee", NUMBER)
    if "gasUsedRatio" in result:
        values["gas_used_ratio"] = _matching(payload, result, "gasUsedRatio", RATIOS)
    yield Row(SERIES, payload.fetched_at, values)


def _refusal(http: Http, answer: Payload, words: str) -> SourceError:
    """What a failure means, by its words; they may repeat the key."""
    said = http.redact(f"{answer.url} answered: {words[:300]}")
    known = words.lower()
    if "daily rate limit" in known:
        wait = seconds_to_next_day()
        http.leave_alone(said, wait)
        return Retriable(said, answer, wait)
    if "rate limit" in known:
        return TooFast(said, answer, BURST_SECONDS)
    if "api key" in known:
        return Refused(f"{said}. Check ETHERSCAN_API_KEY", answer)
    if "try again later" in known:
        return Retriable(said, answer)
    return Refused(said, answer)


def _matching(payload: Payload, result: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    """The text of a field; Malformed where it is none of that form."""
    text = result[name]
    if not isinstance(text, str) or not form.fullmatch(text):
        raise Malformed(f"{payload.url}: {name} is {text!r}: a text such as {EXAMPLES[form]!r} was due", payload)
    return text
