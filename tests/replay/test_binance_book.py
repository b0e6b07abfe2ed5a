"""Binance's order book and open interest, as replayed: limits, weights, times, refusals, and the recorded shapes."""

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.faults import add_fault
from tests.recordings import RECORDED, needs_recordings

from .conftest import GENERATED_AT as NOW
from .server import Binance, Wall, candle, candles, ms, serving, write
from .test_binance_recordings import recorded, spelling

DAY = "2024-03-01"
HIST = "/futures/data/openInterestHist"
HEADER = "ts,sum_open_interest,sum_open_interest_value"


@pytest.fixture
def minutes(folder: Path) -> None:
    """BTCUSDT from 11:00 to 12:29 around 60,000; the clock of the fixtures stands at 12:00."""
    candles(folder, "BTCUSDT", [candle(f"{DAY}T11:00:00Z", at, 60_000 + at) for at in range(90)])


def reaches(book: dict[str, Any]) -> list[Decimal]:
    mid = (Decimal(book["bids"][0][0]) + Decimal(book["asks"][0][0])) / 2
    return [abs(Decimal(book[side][-1][0]) - mid) / mid for side in ("bids", "asks")]


@pytest.mark.usefixtures("minutes")
@pytest.mark.parametrize(
    ("limit", "levels", "weight"),
    [(None, 100, 5), (5, 5, 5), (100, 100, 5), (500, 500, 25), (1000, 1000, 50), (5000, 5000, 250), (9999, 5000, 250)],
)
def test_a_book_has_as_many_levels_as_asked_for_and_weighs_by_them(
    binance: Binance, limit: int | None, levels: int, weight: int
) -> None:
    used = int(binance.get("/api/v3/depth", symbol="BTCUSDT", limit=1).headers["x-mbx-used-weight-1m"])
    answer = binance.get("/api/v3/depth", symbol="BTCUSDT", **({"limit": limit} if limit else {}))
    assert [len(answer.json()[side]) for side in ("bids", "asks")] == [levels, levels]
    counted = int(answer.headers["x-mbx-used-weight-1m"])
    assert counted in (used + weight, weight), "the minute may have turned"


@pytest.mark.usefixtures("minutes")
def test_only_the_whole_book_reaches_two_percent(binance: Binance) -> None:
    whole, part = (binance.ok("/api/v3/depth", symbol="BTCUSDT", limit=limit) for limit in (5000, 1000))
    assert min(reaches(whole)) > Decimal("0.02")
    assert max(reaches(part)) < Decimal("0.01")
    assert part["bids"] == whole["bids"][:1000]


@pytest.mark.usefixtures("minutes")
def test_a_book_is_sorted_and_begins_at_the_newest_price(binance: Binance, wall: Wall) -> None:
    for instant in ("12:00:00", "12:00:30", "12:07:59.999"):
        wall.turn(f"{DAY}T{instant}+00:00")
        book = binance.ok("/api/v3/depth", symbol="BTCUSDT", limit=5000)
        bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        assert all(Decimal(quantity) > 0 for side in ("bids", "asks") for _, quantity in book[side])
        newest = binance.klines("BTCUSDT", limit=1)[0]
        assert book["bids"][0][0] == newest[4]


@pytest.mark.usefixtures("minutes")
def test_a_book_is_the_same_at_the_same_instant_and_numbered_upwards(binance: Binance, wall: Wall) -> None:
    first, again = (binance.get("/api/v3/depth", symbol="BTCUSDT", limit=500) for _ in range(2))
    assert first.content == again.content
    wall.turn(f"{DAY}T12:00:05+00:00")
    later = binance.ok("/api/v3/depth", symbol="BTCUSDT", limit=500)
    assert later["lastUpdateId"] > first.json()["lastUpdateId"]
    assert later["bids"] != first.json()["bids"]


def test_without_candles_there_is_no_such_symbol_and_before_the_first_one_nobody_bids(
    binance: Binance, folder: Path
) -> None:
    answer = binance.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)
    assert (answer.status_code, answer.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})
    candles(folder, "BTCUSDT", [candle(f"{DAY}T12:01:00Z", 0)])
    book = binance.ok("/api/v3/depth", symbol="BTCUSDT")
    assert (book["bids"], book["asks"]) == ([], [])
    assert binance.get("/api/v3/depth", symbol="BTCUSDT", limit=0).json()["code"] == -1130
    assert binance.get("/api/v3/depth", symbol="BTCUSDT", limit="x").json()["code"] == -1100


def interests(folder: Path, *rows: str) -> None:
    write(folder, "BTCUSDT", "\n".join([HEADER, *rows]) + "\n", "binance/open_interest_hist")


def asked(binance: Binance, **params: str | int) -> list[str]:
    rows = binance.ok(HIST, symbol="BTCUSDT", period="5m", **params)
    return [row["sumOpenInterest"] for row in rows]


def test_open_interest_shows_at_its_instant_and_for_thirty_days(binance: Binance, folder: Path, wall: Wall) -> None:
    interests(
        folder,
        "2024-01-31T11:55:00Z,1.000,1",
        "2024-01-31T12:05:00Z,2.000,2",
        "2024-03-01T11:55:00Z,3.000,3",
        "2024-03-01T12:05:00Z,4.000,4",
    )
    assert asked(binance) == ["2.000", "3.000"]
    now = binance.ok("/fapi/v1/openInterest", symbol="BTCUSDT")
    assert now == {"symbol": "BTCUSDT", "openInterest": "3.000", "time": ms(f"{DAY}T12:00:00Z")}
    wall.turn(f"{DAY}T12:05:00+00:00")
    assert asked(binance) == ["3.000", "4.000"]
    refused = binance.get(HIST, symbol="BTCUSDT", period="5m", startTime=ms("2024-01-31T12:04:59Z"))
    assert (refused.status_code, refused.json()) == (400, {"code": -1130, "msg": "parameter 'startTime' is invalid."})


def test_open_interest_is_limited_and_its_bounds_are_included(binance: Binance, folder: Path) -> None:
    interests(folder, *(f"2024-02-29T{at // 12:02d}:{at % 12 * 5:02d}:00Z,{at},1" for at in range(200)))
    start = ms("2024-02-29T01:00:00Z")
    assert asked(binance, startTime=start, endTime=start + 600_000) == ["12", "13", "14"]
    assert asked(binance, startTime=start, limit=2) == ["12", "13"]
    assert asked(binance, limit=2) == ["198", "199"]
    assert len(asked(binance)) == 30
    assert len(asked(binance, limit=500)) == 200
    for wrong in ({"limit": 501}, {"limit": 0}, {"period": "1h"}):
        assert binance.get(HIST, **{"symbol": "BTCUSDT", "period": "5m", **wrong}).json()["code"] == -1130
    assert binance.get(HIST, symbol="BTCUSDT").json()["code"] == -1102
    assert binance.get(HIST, symbol="NOPE", period="5m").json()["code"] == -1121
    assert binance.get("/fapi/v1/openInterest", symbol="NOPE").json()["code"] == -1121


def test_the_history_of_open_interest_weighs_nothing(binance: Binance, folder: Path) -> None:
    interests(folder, "2024-03-01T11:55:00Z,3.000,3")
    used = int(binance.get("/fapi/v1/openInterest", symbol="BTCUSDT").headers["x-mbx-used-weight-1m"])
    answer = binance.get(HIST, symbol="BTCUSDT", period="5m")
    assert int(answer.headers["x-mbx-used-weight-1m"]) in (used, 0)
    assert binance.get("/futures/data/nothing").json()["code"] == -5000


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["2024-03-01T11:55:00Z,x,3"], "BTCUSDT.csv:2: column 'sum_open_interest' holds 'x'"),
        (["2024-03-01T11:55:00Z,1,6e9"], "BTCUSDT.csv:2: column 'sum_open_interest_value' holds '6e9'"),
        (["2024-03-01T11:55:00,1,3"], "BTCUSDT.csv:2: column 'ts' holds"),
        (["2024-03-01T11:55:00Z,1,3"] * 2, "BTCUSDT.csv:3: column 'ts' is not later"),
        (["2024-03-01T11:55:00Z,1"], "BTCUSDT.csv:2: 2 cells"),
    ],
)
def test_a_wrong_table_of_open_interest_is_named(binance: Binance, folder: Path, rows: list[str], said: str) -> None:
    interests(folder, *rows)
    answer = binance.get("/fapi/v1/openInterest", symbol="BTCUSDT")
    assert answer.status_code == 500
    assert said in answer.text


def test_faults_are_matched_by_symbol(binance: Binance, folder: Path) -> None:
    interests(folder, "2024-03-01T11:55:00Z,3.000,3")
    fault = {"kind": "renamed", "field": "openInterest", "to": "interest", "series": "BTCUSDT", "path": "openInterest"}
    add_fault(binance.base_url, **fault)
    assert "interest" in binance.ok("/fapi/v1/openInterest", symbol="BTCUSDT")


def test_invented_open_interest_is_plausible_and_served_for_its_last_thirty_days(generated: Path) -> None:
    with serving(generated, Wall(NOW.isoformat())) as url:
        rows = Binance(url).ok(HIST, symbol="BTCUSDT", period="5m", limit=500)
        price = float(Binance(url).klines("BTCUSDT", limit=1)[0][4])
    assert rows[-1]["timestamp"] == ms("2026-11-22T12:00:00Z")
    assert {b["timestamp"] - a["timestamp"] for a, b in pairwise(rows)} == {300_000}
    assert all(80_000 < float(row["sumOpenInterest"]) < 125_000 for row in rows)
    assert float(rows[-1]["sumOpenInterestValue"]) / float(rows[-1]["sumOpenInterest"]) == pytest.approx(price, 0.01)


@needs_recordings
def test_open_interest_and_books_are_spelt_as_recorded(binance: Binance, folder: Path) -> None:
    lines = (RECORDED / "binance/transcribed/live_2022_2026.jsonl").read_text().splitlines()
    told = {entry["url"].split("?")[0].split(".com")[1]: entry["body"] for entry in map(json.loads, lines)}
    interests(folder, "2024-03-01T11:55:00Z,104882.705,6653666199.09")
    candles(folder, "BTCUSDT", [candle(f"{DAY}T11:59:00Z", 0, 60_000)])
    now = binance.ok("/fapi/v1/openInterest", symbol="BTCUSDT")
    assert spelling(now) == spelling(told["/fapi/v1/openInterest"])
    assert spelling(binance.ok(HIST, symbol="BTCUSDT", period="5m")) == spelling(told[HIST])
    book, whole = binance.ok("/api/v3/depth", symbol="BTCUSDT", limit=1), recorded("http_spot_market_depth.json")
    shortened = {**whole, "bids": whole["bids"][:1], "asks": whole["asks"][:1]}
    assert spelling(book) == spelling(shortened)
