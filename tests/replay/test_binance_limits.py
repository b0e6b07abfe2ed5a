"""Binance's limits: the weight of each request, a warning with 429, a ban with 418."""

from pathlib import Path

import pytest

from feature_store.replay.binance_limits import BAN_SECONDS, PATIENCE, Verdict, Weights

from .server import Binance, Wall, candle, candles, serving, write


class Seconds:
    """Real time, by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_045.5  # 5.5 s into a minute

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def test_weight_adds_up_within_a_minute_and_starts_anew_with_the_next(seconds: Seconds) -> None:
    weights = Weights(100, seconds)
    assert [weights.use(weight).used for weight in (2, 40, 2)] == [2, 42, 44]
    seconds.now += 54.5
    assert weights.use(5) == Verdict(200, 5, 0)


def test_a_clock_that_is_turned_to_another_minute_starts_anew_too(seconds: Seconds) -> None:
    weights = Weights(100, seconds)
    assert [weights.use(60, minute).status for minute in (1, 2, 3, 3)] == [200, 200, 200, 429]


def test_above_the_limit_the_rest_of_the_minute_is_to_be_waited(seconds: Seconds) -> None:
    weights = Weights(100, seconds)
    assert weights.use(100) == Verdict(200, 100, 0)
    assert weights.use(1) == Verdict(429, 101, 55)
    seconds.now += 55
    assert weights.use(1).status == 200


def test_who_goes_on_is_banned_beyond_the_minute(seconds: Seconds) -> None:
    weights = Weights(100, seconds)
    statuses = [weights.use(101).status for _ in range(PATIENCE + 1)]
    assert statuses == [429] * PATIENCE + [418]
    seconds.now += 100
    assert weights.use(1) == Verdict(418, 101 * (PATIENCE + 1), BAN_SECONDS - 100)
    seconds.now += 20
    assert weights.use(1) == Verdict(200, 1, 0)


def test_who_waits_after_a_warning_is_not_banned(seconds: Seconds) -> None:
    weights = Weights(100, seconds)
    for _ in range(PATIENCE + 5):
        assert weights.use(101).status == 429
        seconds.now += 60


def used(binance: Binance, path: str, **params: str) -> int:
    """By how much a request raises the used weight; asked again when a minute ended meanwhile."""
    while True:
        before, after = (int(binance.get(path, **params).headers["x-mbx-used-weight-1m"]) for _ in range(2))
        if after > before:
            return after - before


def test_each_endpoint_has_its_weight_and_each_host_its_count(binance: Binance, folder: Path) -> None:
    candles(folder, "BTCUSDT", [candle("2024-03-01T11:00:00Z", 0)])
    write(folder, "BTCUSDT", "ts,value\n", "binance/funding_rate")
    several = ",".join(f'"S{at}"' for at in range(21))
    assert used(binance, "/api/v3/klines", symbol="BTCUSDT", interval="1m") == 2
    assert used(binance, "/api/v3/klines", symbol="NOSUCH", interval="1m") == 2
    assert used(binance, "/api/v3/ticker/24hr", symbol="BTCUSDT") == 2
    assert used(binance, "/api/v3/ticker/24hr", symbols='["BTCUSDT"]') == 2
    assert used(binance, "/api/v3/ticker/24hr", symbols=f"[{several}]") == 40
    assert used(binance, "/api/v3/ticker/24hr") == 80
    assert used(binance, "/fapi/v1/fundingRate", symbol="BTCUSDT") == 1


def test_a_client_above_the_limit_meets_429_and_then_418(tmp_path: Path) -> None:
    write(tmp_path, "BTCUSDT", "ts,value\n", "binance/funding_rate")
    (tmp_path / "binance/klines_1m").mkdir()
    with serving(tmp_path, Wall("2024-03-01T12:00:00+00:00")) as url:
        binance = Binance(url)
        answers = []
        while not answers or answers[-1].status_code == 200:  # a new minute on the way costs a few more requests
            answers.append(binance.get("/api/v3/ticker/24hr"))
        warned = answers[-1]
        while answers[-1].status_code != 418:
            answers.append(binance.get("/api/v3/ticker/24hr"))
        banned, futures = answers[-1], binance.get("/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert warned.status_code == 429
    assert 1 <= int(warned.headers["Retry-After"]) <= 60
    assert warned.json() == {
        "code": -1003,
        "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    }
    assert int(warned.headers["x-mbx-used-weight-1m"]) > 6000
    assert banned.json()["code"] == -1003
    assert banned.json()["msg"].startswith("Way too much request weight used; IP banned until 1")
    assert int(banned.headers["Retry-After"]) == BAN_SECONDS
    assert futures.status_code == 200
