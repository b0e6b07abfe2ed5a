"""Properties over real HTTP: pages add up, the future stays hidden, what is closed stays as it is."""

from itertools import count, pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store.replay.binance_candles import Candle, unfinished

from .server import Binance, Wall, candle, candles, ms, write

START = "2024-02-29T20:00:00Z"
LENGTH = 400
NAMES = count()

# Many gaps, some of them longer than an hour.
present = st.lists(st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 80)), min_size=1, max_size=6).map(
    lambda spans: sorted({at for start, length in spans for at in range(start, min(start + length, LENGTH))})
)
instants = st.integers(0, LENGTH * 60_000)
overhttp = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def serve(folder: Path, minutes: list[int]) -> str:
    name = f"P{next(NAMES)}"
    candles(folder, name, [candle(START, at, 100 + at % 13) for at in minutes])
    return name


def turn(wall: Wall, instant: int) -> int:
    """Set the clock so many ms after START; returns ms since 1970."""
    now = ms(START) + instant
    wall.turn(f"{START[:-1]}+00:00")
    wall.now = wall.now.fromtimestamp(now / 1000, wall.now.tzinfo)
    return now


def pages(binance: Binance, name: str, interval: str, start: int, end: int, size: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    while True:
        page = binance.klines(name, interval, startTime=start, endTime=end, limit=size)
        rows += page
        if len(page) < size:
            return rows
        start = page[-1][0] + 1


@overhttp
@given(
    minutes=present,
    interval=st.sampled_from(["1m", "1h"]),
    bounds=st.tuples(instants, instants),
    size=st.integers(3, 40),
)
def test_paging_through_a_window_gives_every_row_once(
    binance: Binance, folder: Path, wall: Wall, minutes: list[int], interval: str, bounds: tuple[int, int], size: int
) -> None:
    turn(wall, LENGTH * 60_000)
    name = serve(folder, minutes)
    start, end = (ms(START) + bound for bound in sorted(bounds))
    length = {"1m": 60_000, "1h": 3_600_000}[interval]
    wanted = sorted({(ms(START) + at * 60_000) // length * length for at in minutes})
    assert [row[0] for row in pages(binance, name, interval, start, end, size)] == [
        opened for opened in wanted if start <= opened <= end
    ]


@overhttp
@given(minutes=present, interval=st.sampled_from(["1m", "1h"]), moments=st.tuples(instants, instants))
def test_nothing_is_from_the_future_and_closed_candles_never_change(
    binance: Binance, folder: Path, wall: Wall, minutes: list[int], interval: str, moments: tuple[int, int]
) -> None:
    name = serve(folder, minutes)
    earlier = turn(wall, min(moments))
    then = binance.klines(name, interval)
    assert all(row[0] <= earlier for row in then)
    assert all(row[6] < earlier for row in then[:-1])
    later = turn(wall, max(moments))
    now = binance.klines(name, interval)
    closed = [row for row in then if row[6] < earlier]
    assert now[: len(closed)] == closed
    for before, after in zip(then[len(closed) :], now[len(closed) :], strict=False):
        assert before[:2] == after[:2]
        assert float(before[2]) <= float(after[2])
        assert float(before[3]) >= float(after[3])
        assert all(float(before[at]) <= float(after[at]) for at in (5, 7, 8, 9, 10))
    turn(wall, min(moments))
    assert binance.klines(name, interval) == then
    assert later >= earlier


@overhttp
@given(minutes=present, moment=instants)
def test_statistics_know_nothing_of_the_future(
    binance: Binance, folder: Path, wall: Wall, minutes: list[int], moment: int
) -> None:
    turn(wall, moment)
    name, cut = serve(folder, minutes), serve(folder, [at for at in minutes if at * 60_000 <= moment])
    one, other = (binance.ok("/api/v3/ticker/24hr", symbol=symbol) for symbol in (name, cut))
    assert {**one, "symbol": cut} == other


amounts = st.integers(0, 10**13)


@given(prices=st.tuples(amounts, amounts, amounts, amounts), rest=st.tuples(amounts, amounts, st.integers(0, 5000)))
def test_a_growing_candle_ends_as_the_whole_one(prices: tuple[int, int, int, int], rest: tuple[int, int, int]) -> None:
    low, one, two, high = sorted(prices)
    volume, quote, trades = rest
    whole = Candle(0, one, high, low, two, volume, quote, trades, volume // 2, quote // 2)
    stages = [unfinished(whole, 60_000, elapsed) for elapsed in (0, 1, 19_999, 20_000, 39_999, 40_001, 59_999)]
    assert stages[0] == Candle(0, one, one, one, one, 0, 0, 0, 0, 0)
    for before, after in pairwise([*stages, whole]):
        assert before.low >= after.low
        assert before.high <= after.high
        assert before.volume <= after.volume
        assert before.trades <= after.trades
        assert after.low <= after.close <= after.high


slots = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 47)), min_size=1, max_size=30, unique_by=lambda slot: slot[0]
)


@overhttp
@given(
    life=slots, now=st.integers(0, 41), bounds=st.tuples(st.integers(0, 41), st.integers(0, 41)), size=st.integers(1, 7)
)
def test_paging_through_funding_gives_every_published_row_once(
    binance: Binance,
    folder: Path,
    wall: Wall,
    life: list[tuple[int, int]],
    now: int,
    bounds: tuple[int, int],
    size: int,
) -> None:
    name, hour = f"F{next(NAMES)}", 3_600_000
    times = sorted(ms(START) + slot * hour + drift for slot, drift in life)
    turn(wall, now * hour)
    clock = wall.now
    stamps = [(clock.fromtimestamp(at / 1000, clock.tzinfo).isoformat(timespec="milliseconds")) for at in times]
    rows = [f"{stamp},0.0001,{stamp}" for stamp in stamps]
    write(folder, name, "\n".join(["ts,value,available_at", *rows]), "binance/funding_rate")
    start, end = (ms(START) + bound * hour for bound in sorted(bounds))
    found, page = [], [0]
    while page:
        page = [row["fundingTime"] for row in binance.funding(name, startTime=start, endTime=end, limit=size)]
        found += page
        start = page[-1] + 1 if page else start
        if start > end:
            break
    assert found == [at for at in times if ms(START) + min(bounds) * hour <= at <= min(end, ms(START) + now * hour)]
