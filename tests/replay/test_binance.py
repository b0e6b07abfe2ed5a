"""Binance's behaviour, on small histories: paging, the open candle, outages, funding, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from .server import Binance, Wall, candle, candles, ms, write

# The clock of the fixtures stands at 12:00; T is an instant of that day.
DAY = "2024-03-01"


@pytest.fixture
def minutes(folder: Path) -> None:
    """BTCUSDT from 11:00 to 12:29, without 11:30 to 11:34; ETHUSDT from 11:58 on."""
    down = range(30, 35)
    candles(folder, "BTCUSDT", [candle(f"{DAY}T11:00:00Z", at, 100 + at) for at in range(90) if at not in down])
    candles(folder, "ETHUSDT", [candle(f"{DAY}T11:58:00Z", at, 10 + at) for at in range(10)])


def opens(rows: list[list[Any]]) -> list[int]:
    return [row[0] for row in rows]


@pytest.mark.usefixtures("minutes")
def test_a_row_has_eight_decimals_and_a_trailing_zero(binance: Binance) -> None:
    assert binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:01:00Z"), limit=1) == [
        [
            ms(f"{DAY}T11:01:00Z"), "101.00000000", "103.00000000", "99.50000000", "102.00000000", "2.50000000",
            ms(f"{DAY}T11:01:59.999Z"), "252.50000000", 25, "1.00000000", "101.00000000", "0",
        ]
    ]  # fmt: skip


@pytest.mark.usefixtures("minutes")
def test_without_bounds_the_newest_rows_come_in_ascending_order(binance: Binance) -> None:
    rows = binance.klines("BTCUSDT", limit=3)
    assert opens(rows) == [ms(f"{DAY}T{at}:00Z") for at in ("11:58", "11:59", "12:00")]


@pytest.mark.usefixtures("minutes")
def test_a_start_alone_gives_the_oldest_rows_from_there(binance: Binance) -> None:
    rows = binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:10:00.001Z"), limit=2)
    assert opens(rows) == [ms(f"{DAY}T11:11:00Z"), ms(f"{DAY}T11:12:00Z")]


@pytest.mark.usefixtures("minutes")
def test_an_end_alone_gives_the_newest_rows_up_to_there(binance: Binance) -> None:
    rows = binance.klines("BTCUSDT", endTime=ms(f"{DAY}T11:10:00Z"), limit=2)
    assert opens(rows) == [ms(f"{DAY}T11:09:00Z"), ms(f"{DAY}T11:10:00Z")]


@pytest.mark.usefixtures("minutes")
def test_both_bounds_are_included_and_apply_to_the_open_time(binance: Binance) -> None:
    rows = binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:10:00Z"), endTime=ms(f"{DAY}T11:12:00Z"))
    assert opens(rows) == [ms(f"{DAY}T11:{at}:00Z") for at in (10, 11, 12)]
    assert (
        len(binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:10:00Z"), endTime=ms(f"{DAY}T11:59:00Z"), limit=4)) == 4
    )


@pytest.mark.usefixtures("minutes")
def test_minutes_of_an_outage_are_absent_and_a_range_of_them_is_empty(binance: Binance) -> None:
    rows = binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:29:00Z"), limit=2)
    assert opens(rows) == [ms(f"{DAY}T11:29:00Z"), ms(f"{DAY}T11:35:00Z")]
    assert binance.klines("BTCUSDT", startTime=ms(f"{DAY}T11:30:00Z"), endTime=ms(f"{DAY}T11:34:59Z")) == []
    assert binance.klines("BTCUSDT", startTime=ms(f"{DAY}T12:01:00Z")) == []  # which is tomorrow's news
    assert binance.klines("BTCUSDT", startTime=2, endTime=1) == []


def test_limits_default_to_500_and_end_at_1000(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle("2024-02-28T00:00:00Z", at) for at in range(1500)])
    asked = [binance.klines("BTCUSDT"), *(binance.klines("BTCUSDT", limit=limit) for limit in (1000, 1001, 5000))]
    assert [len(rows) for rows in asked] == [500, 1000, 1000, 1000]


@pytest.mark.usefixtures("minutes")
def test_the_open_candle_is_partial_and_closes_in_the_future(binance: Binance, wall: Wall) -> None:
    wall.turn(f"{DAY}T12:01:30+00:00")
    whole_at = ms(f"{DAY}T12:01:00Z")
    *_, before, row = binance.klines("BTCUSDT")
    assert (row[0], row[6]) == (whole_at, whole_at + 59_999)
    assert (row[1], row[5], row[8]) == ("161.00000000", "1.20000000", 13)
    wall.turn(f"{DAY}T12:02:00+00:00")
    whole = binance.klines("BTCUSDT", startTime=whole_at, limit=1)[0]
    assert (whole[2], whole[3], whole[4], whole[5]) == ("163.00000000", "159.50000000", "162.00000000", "2.50000000")
    assert binance.klines("BTCUSDT", endTime=whole_at - 1, limit=1) == [before]


@pytest.mark.usefixtures("minutes")
def test_the_last_millisecond_of_a_candle_is_not_its_end(binance: Binance, wall: Wall) -> None:
    wall.turn(f"{DAY}T12:01:59.999+00:00")
    assert binance.klines("BTCUSDT", limit=1)[0][5] == "2.40000000"
    wall.turn(f"{DAY}T12:02:00+00:00")
    assert binance.klines("BTCUSDT", limit=2)[0][5] == "2.50000000"
    assert binance.klines("BTCUSDT", limit=1)[0][5] == "0.00000000"


@pytest.mark.usefixtures("minutes")
def test_hours_are_the_sums_of_their_minutes(binance: Binance, wall: Wall) -> None:
    wall.turn(f"{DAY}T12:10:00+00:00")
    closed, running = binance.klines("BTCUSDT", "1h")
    assert closed == [
        ms(f"{DAY}T11:00:00Z"), "100.00000000", "161.00000000", "98.50000000", "160.00000000", "137.50000000",
        ms(f"{DAY}T11:59:59.999Z"), "17775.00000000", 1375, "55.00000000", "7110.00000000", "0",
    ]  # fmt: skip
    minutes = binance.klines("BTCUSDT", startTime=ms(f"{DAY}T12:00:00Z"))
    assert len(minutes) == 11
    assert running[0] == minutes[0][0]
    assert running[4] == minutes[-1][4]
    assert running[5] == f"{sum(float(row[5]) for row in minutes):.8f}"
    assert running[8] == sum(row[8] for row in minutes)


def test_an_hour_begins_when_its_first_minute_does(binance: Binance, folder: Path, wall: Wall) -> None:
    rows = [candle(f"{DAY}T11:00:00Z", at) for at in (0, 90, 91)]
    candles(folder, "BTCUSDT", rows)
    wall.turn(f"{DAY}T12:29:59+00:00")
    assert opens(binance.klines("BTCUSDT", "1h")) == [ms(f"{DAY}T11:00:00Z")]
    wall.turn(f"{DAY}T12:30:00+00:00")
    assert opens(binance.klines("BTCUSDT", "1h")) == [ms(f"{DAY}T11:00:00Z"), ms(f"{DAY}T12:00:00Z")]


@pytest.mark.usefixtures("minutes")
def test_a_table_of_hours_is_preferred_to_the_minutes(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle(f"{DAY}T10:00:00Z", 60 * at, 7) for at in range(5)], "klines_1h")
    assert [row[1] for row in binance.klines("BTCUSDT", "1h")] == ["7.00000000"] * 3
    assert binance.klines("BTCUSDT", "1h")[-1][5] == "0.00000000"  # as of 12:00 sharp nothing was traded
    assert binance.klines("BTCUSDT", "1m", limit=1)[0][1] == "160.00000000"


def test_minutes_of_a_symbol_that_has_hours_alone_are_not_there(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle(f"{DAY}T10:00:00Z", 0)], "klines_1h")
    assert binance.klines("BTCUSDT", "1m") == []


def test_a_symbol_with_a_file_is_known_before_its_first_candle(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle("2025-01-01T00:00:00Z", 0)])
    assert binance.klines("BTCUSDT") == []
    assert binance.klines("BTCUSDT", "1h") == []
    statistics = binance.ok("/api/v3/ticker/24hr", symbol="BTCUSDT")
    assert (statistics["count"], statistics["firstId"], statistics["volume"]) == (0, -1, "0.00000000")


def test_small_numbers_have_no_exponent(binance: Binance, folder: Path) -> None:
    text = f"{DAY}T11:00:00Z,0.00000001,0.00000547,0,0.00000547,0,0,0,0,0"
    candles(folder, "BTCUSDT", [text])
    assert binance.klines("BTCUSDT")[0][1:6] == [
        "0.00000001", "0.00000547", "0.00000000", "0.00000547", "0.00000000",
    ]  # fmt: skip


FUNDING = f"""ts,value,mark_price,available_at
2024-02-29T16:00:00.047Z,0.0001,,2024-02-29T16:00:05Z
{DAY}T00:00:00Z,-0.00003,61168.0412,{DAY}T00:00:05Z
{DAY}T08:00:00.001Z,0.00041211,62000,{DAY}T08:00:05Z
{DAY}T12:00:00.003Z,0.0002,62100,{DAY}T12:00:05Z
{DAY}T16:00:00.009Z,0.0003,62200,{DAY}T16:00:05Z
"""


@pytest.fixture
def funding(folder: Path) -> None:
    """Every eight hours, and every four from 12:00 on."""
    write(folder, "SOLUSDT", FUNDING, "binance/funding_rate")


@pytest.mark.usefixtures("funding")
def test_funding_keeps_its_drift_and_an_unknown_mark_price_is_empty(binance: Binance, wall: Wall) -> None:
    wall.turn(f"{DAY}T08:00:05+00:00")
    answer = binance.get("/fapi/v1/fundingRate", symbol="SOLUSDT")
    assert answer.text == json.dumps(
        [
            {
                "symbol": "SOLUSDT",
                "fundingTime": ms("2024-02-29T16:00:00.047Z"),
                "fundingRate": "0.00010000",
                "markPrice": "",
            },
            {
                "symbol": "SOLUSDT",
                "fundingTime": ms(f"{DAY}T00:00:00Z"),
                "fundingRate": "-0.00003000",
                "markPrice": "61168.04120000",
            },
            {
                "symbol": "SOLUSDT",
                "fundingTime": ms(f"{DAY}T08:00:00.001Z"),
                "fundingRate": "0.00041211",
                "markPrice": "62000.00000000",
            },
        ],
        separators=(",", ":"),
    )


def test_without_its_column_the_mark_price_is_absent(binance: Binance, folder: Path) -> None:
    write(folder, "BTCUSDT", f"ts,value\n{DAY}T08:00:00.001Z,0.0001\n", "binance/funding_rate")
    assert list(binance.funding("BTCUSDT")[0]) == ["symbol", "fundingTime", "fundingRate"]


@pytest.mark.usefixtures("funding")
def test_a_settlement_is_served_from_its_publication_on(binance: Binance, wall: Wall) -> None:
    wall.turn(f"{DAY}T12:00:04+00:00")
    assert len(binance.funding("SOLUSDT")) == 3
    wall.turn(f"{DAY}T12:00:05+00:00")
    assert binance.funding("SOLUSDT")[-1]["fundingTime"] == ms(f"{DAY}T12:00:00.003Z")


def test_a_restated_rate_replaces_the_first_and_a_withdrawn_one_is_absent(
    binance: Binance, folder: Path, wall: Wall
) -> None:
    at, other = f"{DAY}T00:00:00Z", f"{DAY}T08:00:00Z"
    rows = [f"{at},0.1,{at}", f"{at},0.2,{DAY}T09:00:00Z", f"{other},0.3,{other}", f"{other},,{DAY}T09:00:00Z"]
    write(folder, "SOLUSDT", "\n".join(["ts,value,available_at", *rows]), "binance/funding_rate")
    wall.turn(f"{DAY}T08:59:00+00:00")
    assert [row["fundingRate"] for row in binance.funding("SOLUSDT")] == ["0.10000000", "0.30000000"]
    wall.turn(f"{DAY}T09:00:00+00:00")
    assert [row["fundingRate"] for row in binance.funding("SOLUSDT")] == ["0.20000000"]


def test_without_available_at_funding_follows_the_catalog(binance: Binance, folder: Path, wall: Wall) -> None:
    write(folder, "BTCUSDT", f"ts,value\n{DAY}T08:00:00.001Z,0.0001\n", "binance/funding_rate")
    wall.turn(f"{DAY}T08:00:04+00:00")
    assert binance.funding("BTCUSDT") == []
    wall.turn(f"{DAY}T08:00:06+00:00")
    assert len(binance.funding("BTCUSDT")) == 1


@pytest.mark.usefixtures("funding")
def test_funding_is_paged_by_its_time(binance: Binance, wall: Wall) -> None:
    wall.turn("2024-03-02T00:00:00+00:00")
    times = [row["fundingTime"] for row in binance.funding("SOLUSDT")]
    assert times == sorted(times)
    assert [row["fundingTime"] for row in binance.funding("SOLUSDT", limit=2)] == times[-2:]
    assert [row["fundingTime"] for row in binance.funding("SOLUSDT", startTime=times[1], limit=2)] == times[1:3]
    assert [row["fundingTime"] for row in binance.funding("SOLUSDT", endTime=times[2], limit=2)] == times[1:3]
    assert [row["fundingTime"] for row in binance.funding("SOLUSDT", startTime=times[1], endTime=times[3])] == times[
        1:4
    ]


def test_funding_limits_default_to_100_and_end_at_1000(binance: Binance, folder: Path) -> None:
    rows = [
        f"{ts},0.0001,{ts}"
        for ts in (
            f"2023-{m:02d}-{d:02d}T{h:02d}:00:00Z" for m in range(1, 13) for d in range(1, 29) for h in range(0, 24, 6)
        )
    ]
    write(folder, "BTCUSDT", "\n".join(["ts,value,available_at", *rows]), "binance/funding_rate")
    assert len(binance.funding("BTCUSDT")) == 100
    assert len(binance.funding("BTCUSDT", startTime=0, limit=2000)) == 1000


@pytest.mark.usefixtures("minutes")
def test_statistics_are_those_of_the_last_24_hours(binance: Binance, folder: Path, wall: Wall) -> None:
    rows = [candle("2024-02-28T00:00:00Z", at, 100 + at % 7) for at in range(3 * 1440)]
    candles(folder, "BTCUSDT", rows)
    wall.turn("2024-02-29T18:00:00.500+00:00")
    statistics = binance.ok("/api/v3/ticker/24hr", symbol="BTCUSDT")
    start, end = ms("2024-02-28T18:00:00.500Z"), ms("2024-02-29T18:00:00.500Z")
    whole = [
        row
        for at in (0, 720)
        for row in binance.klines("BTCUSDT", startTime=ms("2024-02-28T18:00:00Z") + at * 60_000, limit=720)
    ]
    inside = [*whole, binance.klines("BTCUSDT", limit=1)[0]]
    assert (statistics["openTime"], statistics["closeTime"]) == (start, end)
    assert statistics["openPrice"] == inside[0][1]
    assert statistics["lastPrice"] == inside[-1][4]
    assert statistics["highPrice"] == max((row[2] for row in inside), key=float)
    assert statistics["lowPrice"] == min((row[3] for row in inside), key=float)
    assert statistics["count"] == sum(row[8] for row in inside)
    assert statistics["lastId"] - statistics["firstId"] + 1 == statistics["count"]
    assert float(statistics["volume"]) == pytest.approx(sum(float(row[5]) for row in inside), abs=1e-8)
    assert float(statistics["quoteVolume"]) == pytest.approx(sum(float(row[7]) for row in inside), abs=1e-6)
    assert (statistics["openPrice"], statistics["lastPrice"]) == ("102.00000000", "99.90000000")
    assert (statistics["priceChange"], statistics["priceChangePercent"]) == ("-2.10000000", "-2.059")
    assert statistics["prevClosePrice"] == binance.klines("BTCUSDT", endTime=ms("2024-02-28T17:59:00Z"), limit=1)[0][4]


@pytest.mark.usefixtures("minutes")
def test_one_symbol_is_an_object_and_several_are_a_list(binance: Binance) -> None:
    both = binance.ok("/api/v3/ticker/24hr", symbols='["ETHUSDT","BTCUSDT"]')
    assert [entry["symbol"] for entry in both] == ["ETHUSDT", "BTCUSDT"]
    assert binance.ok("/api/v3/ticker/24hr", symbol="ETHUSDT") == both[0]
    assert [entry["symbol"] for entry in binance.ok("/api/v3/ticker/24hr")] == ["BTCUSDT", "ETHUSDT"]
    small = binance.ok("/api/v3/ticker/24hr", symbol="ETHUSDT", type="MINI")
    assert set(both[0]) - set(small) == {
        "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastQty",
        "bidPrice", "bidQty", "askPrice", "askQty",
    }  # fmt: skip


KLINES, TICKER, FUNDING_RATE = "/api/v3/klines", "/api/v3/ticker/24hr", "/fapi/v1/fundingRate"
MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."


@pytest.mark.usefixtures("minutes", "funding")
@pytest.mark.parametrize(
    ("path", "params", "code", "message"),
    [
        (KLINES, {"interval": "1m"}, -1102, MANDATORY.format("symbol")),
        (KLINES, {"symbol": "BTCUSDT"}, -1102, MANDATORY.format("interval")),
        (KLINES, {"symbol": "NOSUCH", "interval": "1m"}, -1121, "Invalid symbol."),
        (
            KLINES,
            {"symbol": "btcusdt", "interval": "1m"},
            -1100,
            r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'.",
        ),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1M"}, -1120, "Invalid interval. Replay serves 1m and 1h."),
        (KLINES, {"symbol": "BTCUSDT", "interval": "60"}, -1120, "Invalid interval."),
        (
            KLINES,
            {"symbol": "BTCUSDT", "interval": "1m", "startTime": "1e12"},
            -1100,
            "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'.",
        ),
        (
            KLINES,
            {"symbol": "BTCUSDT", "interval": "1m", "limit": "-1"},
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1m", "endTime": ""}, -1105, "Parameter 'endTime' was empty."),
        (
            KLINES,
            {"symbol": "BTCUSDT", "interval": "1m", "limit": "0"},
            -1130,
            "Data sent for parameter 'limit' is not valid.",
        ),
        (TICKER, {"symbol": "NOSUCH"}, -1121, "Invalid symbol."),
        (TICKER, {"symbols": '["BTCUSDT","NOSUCH"]'}, -1121, "Invalid symbol."),
        (TICKER, {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151, "Symbol is present multiple times in the list."),
        (
            TICKER,
            {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'},
            -1128,
            "Combination of optional parameters invalid.",
        ),
        (TICKER, {"symbol": "BTCUSDT", "type": "TINY"}, -1130, "Data sent for parameter 'type' is not valid."),
        (FUNDING_RATE, {"symbol": "NOSUCH"}, -1121, "Invalid symbol."),
        (FUNDING_RATE, {}, -1102, MANDATORY.format("symbol")),
        (
            FUNDING_RATE,
            {"symbol": "SOLUSDT", "startTime": "2", "endTime": "1"},
            -1023,
            "Start time is greater than end time.",
        ),
    ],
)
def test_a_wrong_request_is_refused_in_binances_words(
    binance: Binance, path: str, params: dict[str, str], code: int, message: str
) -> None:
    answer = binance.get(path, **params)
    assert answer.status_code == 400
    assert answer.text == json.dumps({"code": code, "msg": message}, separators=(",", ":"))
    assert answer.headers["x-mbx-used-weight-1m"].isdecimal()


@pytest.mark.usefixtures("minutes")
def test_a_list_of_symbols_with_blanks_is_refused(binance: Binance) -> None:
    assert binance.get(TICKER, symbols='["BTCUSDT", "ETHUSDT"]').json()["code"] == -1100


def test_an_unknown_path_is_not_found(binance: Binance) -> None:
    spot, futures = binance.get("/api/v3/nonsense"), binance.get("/fapi/v1/nonsense")
    assert (spot.status_code, spot.headers["Content-Type"]) == (404, "text/html")
    assert futures.status_code == 404
    assert futures.json() == {"code": -5000, "msg": "Path /fapi/v1/nonsense, Method GET is invalid"}


HEADER = "ts,open,high,low,close,volume,quote_volume,trades,taker_base_volume,taker_quote_volume"
GOOD = f"{DAY}T11:00:00Z,1,1,1,1,1,1,1,1,1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "X.csv:1: the header lacks column 'ts'"),
        ("ts,value\n", "X.csv:1: the header lacks column 'open'; a table of candles has ts,open,"),
        (f"{HEADER},x\n", "X.csv:1: the header has further columns"),
        (f"{HEADER}\n{GOOD}\n{DAY}T11:01:00Z,1,1,1,n/a,1,1,1,1,1\n", "X.csv:3: column 'close': "),
        (f"{HEADER}\n{DAY}T11:01:00Z,1,1,1,,1,1,1,1,1\n", "X.csv:2: column 'close': "),
        (f"{HEADER}\n{DAY}T11:01:00,1,1,1,1,1,1,1,1,1\n", "X.csv:2: column 'ts': "),
        (f"{HEADER}\n{DAY}T11:01:00Z,1,1,1,1,1,1,1.5,1,1\n", "X.csv:2: column 'trades': "),
        (f"{HEADER}\n{DAY}T11:01:00Z,1,1,1,0.123456789,1,1,1,1,1\n", "at most 8 decimals"),
        (f"{HEADER}\n{DAY}T11:01:00Z,1,1\n", "X.csv: CSV parse error: Row #2: Expected 10 columns, got 3"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n", "X.csv:3: column 'ts' is not later than the row before"),
        (
            f"{HEADER}\n{DAY}T11:01:30Z,1,1,1,1,1,1,1,1,1\n",
            "X.csv:2: column 'ts' does not begin a candle of 60 seconds",
        ),
        (f"{HEADER}\n{DAY}T11:01:00Z,1,1,1,1,-1,1,1,1,1\n", "X.csv: column 'volume' holds -1"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place(
    binance: Binance, folder: Path, text: str, complaint: str
) -> None:
    write(folder, "X", text, "binance/klines_1m")
    answer = binance.get(KLINES, symbol="X", interval="1m")
    assert answer.status_code == 500
    assert complaint in answer.text


def test_a_changed_table_is_read_again(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle(f"{DAY}T11:00:00Z", 0)])
    assert len(binance.klines("BTCUSDT")) == 1
    assert len(binance.klines("BTCUSDT", "1h")) == 1
    candles(folder, "BTCUSDT", [candle(f"{DAY}T10:00:00Z", at) for at in (0, 60)])
    assert len(binance.klines("BTCUSDT")) == 2
    assert len(binance.klines("BTCUSDT", "1h")) == 2
