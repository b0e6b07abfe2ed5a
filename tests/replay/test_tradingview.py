"""The datafeed's behaviour, on small tables: ranges, sessions, the open bar, refusals; and what is invented for it."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.catalog.calendars import sessions
from tests.faults import add_fault, clear_faults
from tests.recordings import RECORDED, needs_recordings

from .conftest import GENERATED_AT as NOW
from .server import Wall, serving, write

HEADER = "ts,open,high,low,close,volume"
# Thursday to Monday around the clock of the fixtures, which stands at Friday 2024-03-01 12:00 UTC.
DAYS = ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-04")
CALENDARS = {"TVC_DXY": "fx-weekdays", "SP_SPX": "nyse", "CBOE_VIX": "nyse"}
BARS = RECORDED / "tradingview/transcribed/udf_history_aapl_ok.json"


def at(instant: str) -> int:
    return round(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp())


class Feed:
    """A client of the datafeed."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.http = httpx.Client(base_url=f"{base_url}/tradingview", timeout=None, trust_env=False)

    def ok(self, path: str, **params: str | int) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def history(self, symbol: str = "SP:SPX", since: str = DAYS[0], until: str = "2024-04-01", **params: Any) -> Any:
        asked = {"symbol": symbol, "resolution": "1D", "from": at(since), "to": at(until), **params}
        return self.ok("history", **{name: value for name, value in asked.items() if value is not None})


@pytest.fixture
def feed(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Iterator[Feed]:
    """A client of the server, which has no faults and four bars of two symbols."""
    clear_faults(shared_server[0])
    rows = [f"{day},{100 + n},{104 + n},{98 + n},{102 + n}.50,{3000 + n}" for n, day in enumerate(DAYS)]
    for name in ("SP_SPX", "TVC_DXY"):
        bars(folder, name, *rows)
    client = Feed(shared_server[0])
    yield client
    client.http.close()


def bars(folder: Path, name: str, *rows: str) -> None:
    write(folder, name, "\n".join([HEADER, *rows]) + "\n", "tradingview/history")


def times(said: Any) -> list[str]:
    return [f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d}" for t in said["t"]]


def test_bars_come_by_column_and_the_start_is_included_but_not_the_end(feed: Feed) -> None:
    assert feed.history(until=DAYS[1]) == {
        "t": [at(DAYS[0])], "o": [100], "h": [104], "l": [98], "c": [102.5], "v": [3000], "s": "ok",
    }  # fmt: skip
    assert times(feed.history(since=DAYS[1])) == [DAYS[1]]
    assert feed.history(resolution="D") == feed.history()
    assert times(feed.history(since=DAYS[0], until="2024-02-28T00:00:01")) == [DAYS[0]]


def test_no_data_names_the_closest_earlier_bar(feed: Feed) -> None:
    assert feed.history(since="2024-02-29T00:00:01") == {"s": "no_data", "nextTime": at(DAYS[1])}
    assert feed.history(since="2024-03-02", until="2024-03-04") == {"s": "no_data", "nextTime": at(DAYS[1])}
    assert feed.history(since="2020-01-01", until=DAYS[0]) == {"s": "no_data", "nextTime": None}


def test_countback_goes_before_the_start(feed: Feed) -> None:
    assert times(feed.history(since=DAYS[1], countback=2)) == list(DAYS[:2])
    assert times(feed.history(since=DAYS[0], countback=1)) == [DAYS[1]]
    assert times(feed.history(until=DAYS[1], countback=9, **{"from": None})) == [DAYS[0]]


def test_a_bar_shows_from_its_sessions_open_and_is_partial_until_its_close(feed: Feed, wall: Wall) -> None:
    wall.turn("2024-03-01T14:29:59+00:00")
    assert times(feed.history()) == list(DAYS[:2])
    wall.turn("2024-03-01T14:30:00+00:00")  # 09:30 in New York
    opened = feed.history(since=DAYS[2])
    assert [opened[name] for name in "ohlcv"] == [[102], [102], [102], [102], [0]]
    closes, volumes = [], []
    for instant in ("15:30", "16:40", "18:50", "20:59"):
        wall.turn(f"2024-03-01T{instant}:00+00:00")
        said = feed.history(since=DAYS[2])
        assert said["l"][0] <= min(said["o"][0], said["c"][0])
        assert said["h"][0] >= max(said["o"][0], said["c"][0])
        closes += said["c"]
        volumes += said["v"]
    assert 104.5 not in closes
    assert volumes == sorted(volumes)
    wall.turn("2024-03-01T21:00:00+00:00")
    whole = feed.history(since=DAYS[2])
    assert [whole[name] for name in "ohlcv"] == [[102], [106], [100], [104.5], [3002]]


def test_a_session_of_the_dollar_index_opens_the_evening_before_and_closes_at_five(feed: Feed, wall: Wall) -> None:
    wall.turn("2024-03-03T22:59:59+00:00")
    assert times(feed.history("TVC:DXY")) == list(DAYS[:3])
    wall.turn("2024-03-03T23:00:00+00:00")  # 18:00 in New York, of Sunday
    assert times(feed.history("TVC:DXY")) == list(DAYS)
    wall.turn("2024-03-04T21:59:59+00:00")
    assert feed.history("TVC:DXY", since=DAYS[3])["v"] == [3002]
    wall.turn("2024-03-04T22:00:00+00:00")
    assert feed.history("TVC:DXY", since=DAYS[3])["v"] == [3003]


def test_a_symbol_that_the_catalog_does_not_know_has_days(feed: Feed, folder: Path, wall: Wall) -> None:
    bars(folder, "OWN_X", "1950-01-03,1,2,1,2,", "2024-03-01,,,,10,", "2024-03-02,,,,20,")
    said = feed.history("OWN:X", since="1950-01-01")
    assert said == {"t": [at("1950-01-03"), at("2024-03-01")], "o": [1, None], "h": [2, None], "l": [1, None],
                    "c": [2, 6], "s": "ok"}  # fmt: skip
    wall.turn("2024-03-02T00:00:00+00:00")
    assert feed.history("OWN:X", since=DAYS[2], until="2024-03-02")["c"] == [10]


def test_a_column_that_is_empty_throughout_is_absent(feed: Feed, folder: Path) -> None:
    bars(folder, "CBOE_VIX", "2024-02-28,,,,13.84,", "2024-02-29,,,,13.40,")
    assert list(feed.history("CBOE:VIX")) == ["t", "c", "s"]
    assert feed.ok("symbols", symbol="CBOE:VIX")["has_no_volume"] is True


def test_errors_come_with_status_200_in_the_vendors_words(feed: Feed) -> None:
    assert feed.history("SP:NOPE") == {"s": "error", "errmsg": "unknown_symbol"}
    assert feed.history("SP_SPX") == {"s": "error", "errmsg": "unknown_symbol"}
    assert feed.history(resolution="60") == {"s": "error", "errmsg": "Invalid request.Invalid Resolution."}
    assert feed.history(**{"from": "x"})["s"] == "error"
    assert feed.ok("symbols", symbol="SP:NOPE") == {"s": "error", "errmsg": "unknown_symbol"}
    answer = feed.http.get("marks")
    assert (answer.status_code, answer.json()) == (404, {"s": "error", "errmsg": "Not Found"})


def test_faults_are_matched_by_symbol(feed: Feed) -> None:
    for fault in ({"kind": "status", "status": 403}, {"kind": "renamed", "field": "c", "to": "close"}):
        body = {**fault, "source": "tradingview", "series": "SP:SPX"}
        add_fault(feed.base_url, **body)
    assert feed.history("TVC:DXY")["s"] == "ok"
    asked = {"symbol": "SP:SPX", "from": 0, "to": at(DAYS[1])}
    assert feed.http.get("history", params=asked).json() == {"s": "error", "errmsg": "Forbidden"}
    assert "close" in feed.http.get("history", params=asked).json()


def test_what_the_feed_can_do_and_what_a_symbol_is(feed: Feed) -> None:
    assert feed.ok("config")["supported_resolutions"] == ["1D"]
    spx = feed.ok("symbols", symbol="SP:SPX")
    assert (spx["name"], spx["exchange-traded"], spx["ticker"]) == ("SPX", "SP", "SP:SPX")
    assert (spx["session"], spx["timezone"]) == ("0930-1600", "America/New_York")
    assert (spx["minmov"], spx["pricescale"], spx["has_intraday"]) == (1, 100, False)
    assert feed.http.get("time").text == str(at("2024-03-01T12:00:00"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2024-03-01T12:00:00Z,1,1,1,1,", "column 'ts' holds '2024-03-01T12:00:00Z'; allowed is a trading day"),
        ("x,1,1,1,1,", "column 'ts' holds 'x'"),
        ("2024-03-01,1,1,1,,", "column 'close' is empty"),
        ("2024-03-01,1,1,y,1,", "column 'low' holds 'y'"),
        ("2024-03-01,1", "2 cells"),
        ("2024-02-28,1,1,1,1,", "not later than the row before"),
    ],
)
def test_a_wrong_table_is_named(feed: Feed, folder: Path, row: str, said: str) -> None:
    bars(folder, "SP_SPX", "2024-02-28,1,1,1,1,", row)
    answer = feed.http.get("history", params={"symbol": "SP:SPX"})
    assert answer.status_code == 500
    assert "SP_SPX.csv:3" in answer.text
    assert said in answer.text


@needs_recordings
def test_a_recorded_answer_comes_back_byte_for_byte(feed: Feed, folder: Path) -> None:
    told = json.loads(BARS.read_text())
    columns = [[f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d}" for t in told["t"]], *(told[name] for name in "ohlcv")]
    bars(folder, "NASDAQ_AAPL", *(",".join(map(str, row)) for row in zip(*columns, strict=True)))
    asked = {"symbol": "NASDAQ:AAPL", "resolution": "D", "from": told["t"][0], "to": told["t"][-1] + 1}
    assert feed.http.get("history", params=asked).text == BARS.read_text().strip()


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"tradingview/history/{name}.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", CALENDARS)
def test_invented_bars_are_those_of_every_session_and_plausible(generated: Path, name: str) -> None:
    rows = table(generated, name)
    low, high = {"TVC_DXY": (80, 125), "SP_SPX": (1800, 9500), "CBOE_VIX": (8, 120)}[name]
    first, last = datetime.fromisoformat(rows[0]["ts"]).date(), datetime.fromisoformat(rows[-1]["ts"]).date()
    assert [row["ts"] for row in rows] == [str(session.date) for session in sessions(CALENDARS[name], first, last)]
    assert str(first) < "2018-12-01"
    assert str(last) > "2027-01-01"
    for row in rows:
        o, h, lo, c = (float(row[column]) for column in ("open", "high", "low", "close"))
        assert low < lo <= min(o, c) <= max(o, c) <= h < high


@pytest.mark.parametrize(("name", "series"), [("SP_SPX", "SP500"), ("CBOE_VIX", "VIXCLS")])
def test_invented_closes_agree_with_freds(generated: Path, name: str, series: str) -> None:
    with (generated / f"fred/observations/{series}.csv").open() as file:
        told = {row["ts"][:10]: float(row["value"]) for row in csv.DictReader(file)}
    closes = {row["ts"]: float(row["close"]) for row in table(generated, name)}
    assert closes.keys() == told.keys()
    assert all(closes[day] == pytest.approx(told[day], rel=0.001) for day in told)


def test_generating_later_only_adds_bars(generated: Path, extended: Path) -> None:
    for name in CALENDARS:
        held = (generated / f"tradingview/history/{name}.csv").read_text()
        assert (extended / f"tradingview/history/{name}.csv").read_text().startswith(held)


def test_the_default_folder_serves_every_symbol_up_to_the_newest_session(generated: Path) -> None:
    with serving(generated, Wall(NOW.isoformat())) as url:
        for symbol in ("TVC:DXY", "SP:SPX", "CBOE:VIX"):
            assert times(Feed(url).history(symbol, since="2018-01-01", until="2027-01-01"))[-1] == "2026-11-20"
