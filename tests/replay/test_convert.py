import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from feature_store.errors import ReplayError
from feature_store.replay.convert import Reading, convert
from feature_store.replay.folder import Folder
from feature_store.replay.schedule import CatalogSchedule

CANDLES = "ts,open,high,low,close,volume,quote_volume,trades,taker_base_volume,taker_quote_volume"
TO = "fred/observations/WALCL"


def converted(folder: Path, text: str, reading: Reading | None = None, to: str = TO) -> list[str]:
    source = folder / "table.csv"
    source.write_text(text)
    return convert(source, to, folder / "out", reading or Reading()).path.read_text().splitlines()


@pytest.mark.parametrize(
    "header", ["Date,Value", "as_of,value", "observation_date,WALCL", "date,Total assets", "\ufeffts,value"]
)
def test_usual_columns_are_recognised(tmp_path: Path, header: str) -> None:
    assert converted(tmp_path, f"{header}\n2024-01-10,7686859\n2024-01-03,7681024\n") == [
        "ts,value",
        "2024-01-03,7681024",
        "2024-01-10,7686859",
    ]


def test_columns_that_are_only_notes_are_left_out(tmp_path: Path) -> None:
    assert converted(tmp_path, "as_of,value,status\n2024-01-03,1,ok\n") == ["ts,value", "2024-01-03,1"]


@pytest.mark.parametrize("unknown", [".", "", "NaN", "null"])
def test_not_known_stays_not_known(tmp_path: Path, unknown: str) -> None:
    assert converted(tmp_path, f"Date,Value\n2024-01-03,{unknown}\n")[1] == "2024-01-03,"


def test_the_first_sighting_says_nothing_about_publication(tmp_path: Path) -> None:
    text = """observation_date,value,seen_at,commit,kind
2024-01-03,1,2024-02-01T09:00:00+04:00,abc,first
2024-01-10,2,2024-02-01T09:00:00+04:00,abc,first
2024-01-10,3,2024-02-08T09:00:00+04:00,def,revised
2024-01-31,4,2024-02-08T09:00:00+04:00,def,first
"""
    assert converted(tmp_path, text) == [
        "ts,value,available_at",
        "2024-01-03,1,",
        "2024-01-10,2,",
        "2024-01-10,3,2024-02-08T05:00:00Z",
        "2024-01-31,4,2024-02-08T05:00:00Z",
    ]
    done = convert(tmp_path / "table.csv", TO, tmp_path / "out")
    assert (done.rows, done.revisions, done.scheduled) == (4, 1, 2)


def test_vintage_dates_become_noon_in_st_louis(tmp_path: Path) -> None:
    text = """date,realtime_start,realtime_end,value
2024-01-01,2024-01-25,2024-07-24,270
2024-01-01,2024-07-25,9999-12-31,268.0
"""
    assert converted(tmp_path, text, Reading(unit="Billions of Dollars"), "fred/observations/GDP") == [
        "ts,value,available_at,unit",
        "2024-01-01,270,2024-01-25T18:00:00Z,Billions of Dollars",
        "2024-01-01,268.0,2024-07-25T17:00:00Z,Billions of Dollars",
    ]


def test_candles_keep_their_columns(tmp_path: Path) -> None:
    text = """open_time,open,high,low,close,volume,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore
1735689660000000,2,3,1,2.5,10,22,7,4,9,0
1735689600000000,1,2,1,2,5,8,3,2,3,0
"""
    assert converted(tmp_path, text, to="binance/klines_1m/BTCUSDT") == [
        CANDLES,
        "2025-01-01T00:00:00Z,1,2,1,2,5,8,3,2,3",
        "2025-01-01T00:01:00Z,2,3,1,2.5,10,22,7,4,9",
    ]


def test_candles_without_a_quote_volume_have_it_at_the_mean_price(tmp_path: Path) -> None:
    text = "open_time_ms,open,high,low,close,volume\n1735689600000,1,4,1,2,1e-05\n"
    assert (
        converted(tmp_path, text, to="binance/klines_1h/BTCUSDT")[1]
        == "2025-01-01T00:00:00Z,1,4,1,2,1e-05,0.00002,0,0,0"
    )


@pytest.mark.parametrize(
    ("text", "reading", "complaint"),
    [
        ("open_time,open,high,low,close\n", Reading(), "csv:1: no column 'volume' among open_time, open"),
        ("open,high,low,close,volume\n", Reading(), "csv:1: no column 'ts' among open, high"),
        ("ts,open,high,low,close,volume\n", Reading(), "no rows under the header"),
        ("ts,open,high,low,close,volume\n", Reading(value="close"), "of the options --ts alone is for it"),
        ("ts,open,high,low,close,volume\n2025-01-01,1,1,1,,1\n", Reading(), "csv:2: column 'close' is empty"),
        ("ts,open,high,low,close,volume\n2025-01-01,1,1,1,1\n", Reading(), "csv:2: 5 cells, but the header names 6"),
        (
            "ts,open,high,low,close,volume\n2025-01-01,1,1,1,1,1\n2025-01-01,1,1,1,1,1\n",
            Reading(),
            "csv:3: a second candle of 2025-01-01",
        ),
        (
            "ts,open,high,low,close,volume\n2025-01-01T00:00:30Z,1,1,1,1,1\n",
            Reading(),
            "does not begin a candle of 60 seconds",
        ),
    ],
)
def test_candles_that_cannot_be_read_are_named_with_their_place(
    tmp_path: Path, text: str, reading: Reading, complaint: str
) -> None:
    with pytest.raises(ReplayError) as error:
        converted(tmp_path, text, reading, "binance/klines_1m/X")
    assert complaint in str(error.value)


def test_epochs_are_instants(tmp_path: Path) -> None:
    text = "fundingTime,fundingRate\n1568102400000,0.0001\n1761408000001,0.0002\n"
    assert converted(tmp_path, text, to="binance/funding/BTCUSDT") == [
        "ts,value",
        "2019-09-10T08:00:00Z,0.0001",
        "2025-10-25T16:00:00.001000Z,0.0002",
    ]


def test_a_factor_is_exact(tmp_path: Path) -> None:
    assert converted(tmp_path, "Date,Value\n2024-01-03,370.51\n", Reading(factor=Decimal(1000)))[1] == (
        "2024-01-03,370510"
    )


def test_named_columns_win_and_gzip_is_read(tmp_path: Path) -> None:
    source = tmp_path / "table.csv.gz"
    source.write_bytes(gzip.compress(b"open_time_ms,open,close\n1704240000000,1,2\n"))
    done = convert(source, TO, tmp_path, Reading(value="close"))
    assert done.path.read_text() == "ts,value\n2024-01-03,2\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("open_time_ms,open,close\n1704240000000,1,2\n", "--value: no column that is it for certain"),
        ("day,Value\n2024-01-03,1\n", "--ts: no column that is it for certain; name one of day, Value"),
        ("Date,Value\n2024-01-03,seven\n", "table.csv:2: column 'Value' holds 'seven'; allowed is a"),
        ("Date,Value\n3.1.2024,7\n", "table.csv:2: column 'Date' holds '3.1.2024'; allowed are 2024-01-31"),
        ("Date,Value\n2024-01-03,7,8\n", "table.csv:2: 3 cells, but the header names 2 columns"),
        ("Date,Value\n2024-01-03,7\n2024-01-03,8\n", "csv:3: ts 2024-01-03 has the value '8' here and '7'"),
        ("Date,Value\n", "no rows under the header"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ReplayError) as error:
        converted(tmp_path, text)
    assert complaint in str(error.value)


@pytest.mark.parametrize("to", ["WALCL", "fred/observations/../x", "fred/observations/WALCL.csv/x"])
def test_a_wrong_target_is_refused(tmp_path: Path, to: str) -> None:
    with pytest.raises(ReplayError, match="must be slug/stream/series"):
        converted(tmp_path, "Date,Value\n2024-01-03,1\n", to=to)


REAL = {
    "walcl/WALCL_macro-observer.csv": "WALCL",
    "wtregen/WTREGEN_macro-observer.csv": "WTREGEN",
    "rrpontsyd/RRPONTSYD_macro-observer.csv": "RRPONTSYD",
    "sp500/SP500_macro-observer.csv": "SP500",
    "vixcls/vix_finance-terminal.csv": "VIXCLS",
    "dtwexbgs_dxy/DTWEXBGS_indicators-dashboard.csv": "DTWEXBGS",
    "_vintages/WALCL_first_seen.csv": "WALCL",
    "_vintages/DTWEXBGS_2025.csv": "DTWEXBGS",
    "_vintages/VIXCLS_first_seen.csv": "VIXCLS",
    "alfred/GDP_all_releases.csv": "GDP",
}


@pytest.mark.parametrize(("name", "series"), REAL.items())
def test_real_histories_convert_and_load(real_series: Path, tmp_path: Path, name: str, series: str) -> None:
    done = convert(real_series / name, f"fred/observations/{series}", tmp_path)
    history = Folder(tmp_path, CatalogSchedule()).history("fred", "observations", series)
    assert history is not None
    assert len(history.rows) == done.rows > 500
