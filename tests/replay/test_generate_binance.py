"""The invented minutes and funding: whole, plausible, the same whatever the folder's extent."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from feature_store.errors import ReplayError
from feature_store.replay.generate import generate
from feature_store.replay.invented_binance import MARKETS, minutes, outage, write_minutes

from .conftest import GENERATED_AT as NOW
from .server import Binance, Wall, ms, serving

FIRST, LAST = date(2026, 10, 23), date(2026, 12, 22)
MINUTE = timedelta(minutes=1)
Table = list[dict[str, str]]


def table(folder: Path, series: str, stream: str = "klines_1m") -> Table:
    with (folder / f"binance/{stream}/{series}.csv").open() as file:
        return list(csv.DictReader(file))


def instants(rows: Table) -> list[datetime]:
    return [datetime.fromisoformat(row["ts"]) for row in rows]


@pytest.mark.parametrize("symbol", MARKETS)
def test_minutes_reach_thirty_days_either_way_and_are_absent_in_outages_alone(generated: Path, symbol: str) -> None:
    at = instants(table(generated, symbol))
    assert (at[0].date(), at[-1].date()) == (FIRST, LAST)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    every = {start + MINUTE * minute for minute in range((LAST - FIRST).days * 1440 + 1440)}
    down = {
        start + timedelta(days=day) + MINUTE * minute
        for day in range((LAST - FIRST).days + 1)
        for minute in outage(FIRST + timedelta(days=day), 7)
    }
    assert set(at) == every - down
    assert len(at) == len(set(at))
    assert any(moment < NOW for moment in down)


@pytest.mark.parametrize("symbol", MARKETS)
def test_candles_are_plausible(generated: Path, symbol: str) -> None:
    rows = table(generated, symbol)
    low, high = {"BTCUSDT": (60_000, 100_000), "ETHUSDT": (1_800, 3_500)}[symbol]
    for row in rows:
        prices = {name: float(row[name]) for name in ("open", "high", "low", "close")}
        assert low < prices["low"] <= min(prices["open"], prices["close"])
        assert max(prices["open"], prices["close"]) <= prices["high"] < high
        assert float(row["taker_base_volume"]) <= float(row["volume"])
        assert float(row["volume"]) * prices["low"] <= float(row["quote_volume"]) + 0.01
        assert float(row["quote_volume"]) <= float(row["volume"]) * prices["high"] + 0.01
        assert (row["trades"] == "0") == (float(row["volume"]) == 0)
    quiet = [row for row in rows if row["trades"] == "0"]
    assert 0.001 < len(quiet) / len(rows) < 0.004
    assert {row["open"] == row["high"] == row["low"] == row["close"] for row in quiet} == {True}
    jumps = [abs(float(b["open"]) / float(a["close"]) - 1) for a, b in pairwise(rows)]
    assert max(jumps) < 0.02


@pytest.mark.parametrize("symbol", MARKETS)
def test_funding_settles_every_eight_hours_and_drifts(generated: Path, symbol: str) -> None:
    rows = table(generated, symbol, "funding_rate")
    late = [at - at.replace(minute=0, second=0, microsecond=0) for at in instants(rows)]
    assert {at.hour for at in instants(rows)} == {0, 8, 16}
    assert len(rows) == 3 * 61
    assert max(late) <= timedelta(milliseconds=47)
    assert 0.25 < sum(drift > timedelta() for drift in late) / len(rows) < 0.6
    assert all(abs(float(row["value"])) < 0.003 and float(row["mark_price"]) > 1000 for row in rows)


def test_a_day_is_the_same_whatever_the_extent() -> None:
    day = date(2026, 11, 20)
    alone = list(minutes("BTCUSDT", day, day, 7))
    among = list(minutes("BTCUSDT", day - timedelta(days=3), day + timedelta(days=2), 7))
    assert [row for row in among if row[0].startswith(str(day))] == alone
    assert list(minutes("BTCUSDT", day, day, 8)) != alone


def test_a_folder_from_before_there_were_minutes_gets_them(tmp_path: Path) -> None:
    held = {"seed": 7, "start": "2026-11-01", "horizon": "2026-11-10"}
    (tmp_path / "replay.json").write_text(json.dumps(held))
    generate(tmp_path, NOW)
    assert instants(table(tmp_path, "BTCUSDT"))[0].date() == FIRST
    assert json.loads((tmp_path / "replay.json").read_text())["start"] == "2026-11-01"


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "replay.json").write_text('{"seed": 7, "start": "2026-11-01"}')
    with pytest.raises(ReplayError, match=r"replay\.json is damaged"):
        generate(tmp_path, NOW)


def test_what_is_served_ends_with_the_open_minute_and_hours_agree_with_minutes(generated: Path) -> None:
    with serving(generated, Wall(NOW.isoformat())) as url:
        binance = Binance(url)
        newest = binance.klines("BTCUSDT", limit=1)[0]
        hour, running = binance.klines("BTCUSDT", "1h", limit=2)
        within = binance.klines("BTCUSDT", startTime=hour[0], endTime=hour[6])
        funding = binance.funding("ETHUSDT", limit=1000)
    assert newest[0] == running[0] == ms("2026-11-22T12:00:00Z")
    assert (hour[1], hour[4]) == (within[0][1], within[-1][4])
    assert hour[8] == sum(row[8] for row in within)
    assert len(funding) == 30 * 3 + 2


def test_longer_spans_are_written_on_demand(tmp_path: Path) -> None:
    path = write_minutes(tmp_path, "ETHUSDT", date(2024, 2, 28), date(2024, 3, 1))
    assert path == tmp_path / "binance/klines_1m/ETHUSDT.csv"
    at = instants(table(tmp_path, "ETHUSDT"))
    assert (at[0], at[-1]) == (datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 3, 1, 23, 59, tzinfo=UTC))
    with pytest.raises(ReplayError, match="no market is invented for 'DOGEUSDT'; there are BTCUSDT, ETHUSDT"):
        write_minutes(tmp_path, "DOGEUSDT", date(2024, 2, 28), date(2024, 3, 1))
