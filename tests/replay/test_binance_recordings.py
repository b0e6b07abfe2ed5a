"""Replay's answers against recorded ones of Binance: keys, types, order, spelling of numbers, headers."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feature_store.replay.convert import convert
from tests.faults import add_fault
from tests.recordings import RECORDED, needs_recordings

from .server import Binance, Wall, candle, candles, ms, serving

ANSWERS = RECORDED / "binance"

pytestmark = needs_recordings


def recorded(name: str) -> Any:
    return json.loads((ANSWERS / "nautilus" / name).read_text())


def transcribed(status: int) -> dict[str, Any]:
    lines = (ANSWERS / "transcribed/live_2022_2026.jsonl").read_text().splitlines()
    return next(entry for line in lines if (entry := json.loads(line))["status"] == status)


def spelling(value: object) -> object:
    """A number as text by its decimals, everything else by its type; objects and lists in their order."""
    if isinstance(value, dict):
        return [(name, spelling(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [spelling(inner) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return f"{len(value.partition('.')[2])} decimals"
    return type(value)


def test_candles_are_answered_byte_for_byte(binance: Binance, folder: Path, wall: Wall) -> None:
    told = recorded("http_spot_market_klines.json")
    lines = [
        ",".join(
            [
                f"{datetime.fromtimestamp(row[0] / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
                *row[1:6],
                row[7],
                str(row[8]),
                *row[9:11],
            ]
        )
        for row in told
    ]
    candles(folder, "BTCUSDT", lines)
    wall.turn("2021-10-22T23:13:00+00:00")
    answer = binance.get("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert answer.text == json.dumps(told, separators=(",", ":"))


def test_an_open_candle_is_spelt_as_a_closed_one(binance: Binance, folder: Path, wall: Wall) -> None:
    candles(folder, "BTCUSDT", [candle("2024-03-01T12:00:00Z", 0)])
    wall.turn("2024-03-01T12:00:20.123+00:00")
    assert spelling(binance.klines("BTCUSDT")) == spelling(recorded("rs_klines_response.json"))


def test_statistics_have_the_recorded_fields(binance: Binance, folder: Path) -> None:
    candles(folder, "BNBBTC", [candle("2024-03-01T11:00:00Z", at) for at in range(50)])
    answer = binance.get("/api/v3/ticker/24hr", symbol="BNBBTC").json()
    told = recorded("rs_ticker_24hr_response.json")
    assert spelling(answer) == spelling(told)
    assert answer["closeTime"] - answer["openTime"] == told["closeTime"] - told["openTime"]
    assert told["lastId"] - told["firstId"] + 1 == told["count"]
    assert answer["lastId"] - answer["firstId"] + 1 == answer["count"]


def test_old_funding_has_the_recorded_fields(binance: Binance, folder: Path) -> None:
    told = recorded("http_futures_market_funding_rate.json")
    lines = [f"{row['fundingTime']},{row['fundingRate']}" for row in told]
    (folder / "table.csv").write_text("\n".join(["fundingTime,fundingRate", *lines]))
    convert(folder / "table.csv", "binance/funding_rate/BTCUSDT", folder)
    assert binance.funding("BTCUSDT") == told  # in another order of fields, which was the documentation's


def test_headers_are_the_recorded_ones(binance: Binance, folder: Path, wall: Wall) -> None:
    candles(folder, "BTCUSDT", [candle("2022-11-28T11:00:00Z", 0)])
    told = transcribed(200)["headers"]
    wall.turn("2022-11-28T22:42:30.596+00:00")
    answer = binance.get("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert {name.lower() for name in answer.headers} == {name.lower() for name in told}
    for name in set(told) - {"Content-Length", "X-Mbx-Used-Weight", "X-Mbx-Used-Weight-1m", "X-Mbx-Uuid"}:
        assert answer.headers[name] == told[name]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["x-mbx-uuid"])


def test_a_place_that_is_not_served_hears_the_recorded_words(binance: Binance) -> None:
    add_fault(binance.base_url, kind="status", status=451)
    answer = binance.get("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert answer.status_code == 451
    assert answer.json() == transcribed(451)["body"]


def test_a_ban_is_told_in_the_recorded_form(binance: Binance) -> None:
    add_fault(binance.base_url, kind="status", status=418, retry_after=300)
    answer = binance.get("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    form = re.compile(r"(Way too much request weight used; IP banned until )(\d{13})\. Please use ")
    mine, theirs = form.match(answer.json()["msg"]), form.match(transcribed(418)["body"]["msg"])
    assert mine is not None
    assert theirs is not None
    assert answer.json()["code"] == transcribed(418)["body"]["code"]
    assert abs(int(mine[2]) / 1000 - datetime.now(UTC).timestamp() - 300) < 30


def test_a_real_history_of_funding_comes_back_whole(real_series: Path, tmp_path: Path) -> None:
    source = real_series / "funding_rate/BTCUSDT_funding_8h.csv"
    convert(source, "binance/funding_rate/BTCUSDT", tmp_path)
    told = [line.split(",") for line in source.read_text().split()[1:]]
    with serving(tmp_path, Wall("2026-01-01T00:00:00+00:00")) as url:
        binance, found, page = Binance(url), [], [{"fundingTime": 0}]
        while page:
            page = binance.funding("BTCUSDT", startTime=page[-1]["fundingTime"] + 1, limit=1000)
            found += page
    assert [(str(row["fundingTime"]), float(row["fundingRate"])) for row in found] == [
        (time, round(float(rate), 8)) for time, rate in told
    ]


def test_a_real_history_of_hours_comes_back_whole(real_series: Path, tmp_path: Path) -> None:
    done = convert(real_series / "btc_usd/BTCUSDT_perp_1h.csv.gz", "binance/klines_1h/BTCUSDT", tmp_path)
    with serving(tmp_path, Wall("2026-01-01T00:00:00+00:00")) as url:
        binance, found, page = Binance(url), 0, [[0]]
        while page:
            page = binance.klines("BTCUSDT", "1h", startTime=page[-1][0] + 1, limit=1000)
            found += len(page)
        first = binance.klines("BTCUSDT", "1h", startTime=0, limit=1)[0]
    assert found == done.rows > 50_000
    assert first == [
        ms("2019-09-08T17:00:00Z"), *["10000.00000000"] * 4, "0.00200000",
        ms("2019-09-08T17:59:59.999Z"), "20.00000000", 0, "0.00000000", "0.00000000", "0",
    ]  # fmt: skip
