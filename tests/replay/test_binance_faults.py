"""Faults of Binance over real HTTP: its statuses in its own words, its rows changed by position."""

import re
import time
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from feature_store.replay.spoilt import added, dropped, renamed, scaled

from .server import Binance, candle, candles, write


@pytest.fixture(autouse=True)
def series(folder: Path, binance: Binance) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        candles(folder, symbol, [candle("2024-03-01T11:00:00Z", at) for at in range(3)])
        write(folder, symbol, "ts,value,mark_price\n2024-03-01T08:00:00Z,0.0001,61000.5\n", "binance/funding_rate")


def add(binance: Binance, **fault: object) -> None:
    answer = httpx.post(f"{binance.base_url}/_faults", json=fault, timeout=None)
    assert answer.status_code == 201, answer.text


def klines(binance: Binance, symbol: str = "BTCUSDT", **params: str | int) -> httpx.Response:
    return binance.get("/api/v3/klines", symbol=symbol, interval="1m", **params)


@pytest.mark.parametrize(
    ("status", "code"), [(400, -1100), (418, -1003), (429, -1003), (451, 0), (500, -1000), (503, -1001), (504, -1007)]
)
def test_a_status_comes_with_binances_code(binance: Binance, status: int, code: int) -> None:
    add(binance, kind="status", status=status)
    answer = klines(binance)
    assert answer.status_code == status
    assert list(answer.json()) == ["code", "msg"]
    assert answer.json()["code"] == code
    assert "Retry-After" not in answer.headers
    assert "x-mbx-used-weight" not in answer.headers
    assert klines(binance).status_code == 200


@pytest.mark.parametrize(
    ("status", "says"), [(403, "ERROR: The request could not be satisfied"), (404, "404"), (502, "502")]
)
def test_machines_before_binance_answer_with_a_page(binance: Binance, status: int, says: str) -> None:
    add(binance, kind="status", status=status)
    answer = klines(binance)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert says in answer.text


@pytest.mark.parametrize("status", [418, 429])
def test_retry_after_is_sent_when_asked_for(binance: Binance, status: int) -> None:
    add(binance, kind="status", status=status, retry_after=7)
    assert klines(binance).headers["Retry-After"] == "7"


def test_a_ban_names_its_end_in_milliseconds(binance: Binance) -> None:
    add(binance, kind="status", status=418, retry_after=300)
    until = re.search(r"IP banned until (\d{13})\.", klines(binance).json()["msg"])
    assert until is not None
    assert abs(int(until[1]) / 1000 - time.time() - 300) < 30


def test_words_of_ones_own_replace_the_usual_ones(binance: Binance) -> None:
    add(binance, kind="status", status=503, message="Unknown error, please check your request or try again later.")
    assert klines(binance).json()["msg"] == "Unknown error, please check your request or try again later."


def test_a_fault_waits_for_its_symbol(binance: Binance) -> None:
    add(binance, kind="status", status=500, source="binance", path="klines", series="ETHUSDT")
    assert klines(binance).status_code == 200
    assert binance.get("/fapi/v1/fundingRate", symbol="ETHUSDT").status_code == 200
    assert klines(binance, "ETHUSDT").status_code == 500


def test_a_cell_of_every_row_is_scaled_and_keeps_its_decimals(binance: Binance) -> None:
    whole = klines(binance).json()
    add(binance, kind="scaled", field="4", factor="1000")
    rows = klines(binance).json()
    assert [row[4] for row in rows] == ["101000.00000000"] * 3
    assert [row[:4] + row[5:] for row in rows] == [row[:4] + row[5:] for row in whole]


def test_times_in_microseconds_stay_whole_numbers(binance: Binance) -> None:
    opened = klines(binance, limit=1).json()[0][0]
    add(binance, kind="scaled", field="0", factor="1000")
    assert klines(binance, limit=1).text.startswith(f"[[{opened * 1000},")


def test_a_cell_of_every_row_is_gone(binance: Binance) -> None:
    whole = klines(binance).json()
    add(binance, kind="dropped", field="4")
    assert klines(binance).json() == [row[:4] + row[5:] for row in whole]


def test_a_cell_of_every_row_moves(binance: Binance) -> None:
    whole = klines(binance).json()
    add(binance, kind="renamed", field="4", to="1")
    assert klines(binance).json() == [[row[0], row[4], *row[1:4], *row[5:]] for row in whole]


def test_fields_of_objects_change_by_name(binance: Binance) -> None:
    add(binance, kind="renamed", field="fundingRate", to="rate")
    add(binance, kind="dropped", field="markPrice")
    add(binance, kind="scaled", field="fundingRate", factor="100")
    add(binance, kind="scaled", field="lastPrice", factor="2")
    fields = [list(binance.funding("BTCUSDT")[0]) for _ in range(2)]
    assert fields == [
        ["symbol", "fundingTime", "rate", "markPrice"],
        ["symbol", "fundingTime", "fundingRate"],
    ]
    assert binance.funding("BTCUSDT")[0]["fundingRate"] == "0.01000000"
    assert binance.ok("/api/v3/ticker/24hr", symbol="BTCUSDT")["lastPrice"] == "202.00000000"


def test_a_time_bound_is_overlooked(binance: Binance) -> None:
    add(binance, kind="ignored", parameter="startTime")
    assert len(klines(binance, startTime=10**13).json()) == 3
    assert klines(binance, startTime=10**13).json() == []


@pytest.mark.parametrize("kind", ["truncated", "html"])
def test_what_is_no_json_has_status_200(binance: Binance, kind: str) -> None:
    add(binance, kind=kind)
    answer = klines(binance)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


def test_a_source_without_keys_knows_no_wrong_one(binance: Binance) -> None:
    add(binance, kind="wrong_key")
    assert klines(binance).status_code == 200


def test_a_position_that_a_row_does_not_reach_changes_nothing() -> None:
    rows = b'[[1,"2.50"],[3,"4.00"]]'
    assert dropped(rows, "2") == rows
    assert renamed(rows, "0", "first") == rows
    assert dropped(b'{"dates":["a","b"]}', "0") == b'{"dates":["a","b"]}'  # a list of values is no row
    assert dropped(b"[[[1,2],[3,4]]]", "0") == b"[[[2],[4]]]"
    assert added(b'[[1,"2"],[3,"4"]]', "1") == b'[[1,"2","2"],[3,"4","4"]]'
    assert added(b'{"a":{"b":1},"b":"x","c":[]}', "b") == b'{"a":{"b":1,"b_new":1},"b":"x","c":[],"b_new":"x"}'
    assert scaled(b'{"bids":[["2.50","1"]]}', "0", Decimal(2)) == b'{"bids":[["5.00","1"]]}'
