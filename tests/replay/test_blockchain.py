"""Blockchain.com's wire format: spelling of numbers, sampling, spans, times, and faults."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.replay.blockchain import number
from tests.faults import add_fault, clear_faults

from .server import Wall, serving, write

RATES = """ts,value,available_at
2024-02-27,555000000.123,2024-02-28T00:40:00Z
2024-02-27,560000000.123,2024-02-29T00:00:00Z
2024-02-28,,2024-02-29T00:40:00Z
2024-02-28,5000000,2024-03-01T00:00:00Z
2024-02-29,400,2024-03-01T00:40:00Z
2024-02-29,420.5,2024-03-02T00:00:00Z
"""


class Blockchain:
    def __init__(self, url: str) -> None:
        self.base_url = url
        self.http = httpx.Client(base_url=f"{url}/blockchain/charts", timeout=None, trust_env=False)

    def get(self, chart: str, **params: str) -> httpx.Response:
        return self.http.get(f"/{chart}", params=params)

    def values(self, chart: str, **params: str) -> list[dict[str, Any]]:
        answer = self.get(chart, **params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["values"])


@pytest.fixture
def charts(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> Blockchain:
    clear_faults(shared_server[0])
    write(folder, "hash-rate", RATES, "blockchain/hash_rate")
    return Blockchain(shared_server[0])


def years(folder: Path, days: int) -> None:
    first = date(2024, 2, 1) - timedelta(days=days)
    rows = [f"{first + timedelta(days=day)},{day},2024-02-01" for day in range(days)]
    write(folder, "market-price", "\n".join(["ts,value,available_at", *rows]) + "\n", "blockchain/market_price")


def test_an_answer_is_spelt_as_a_java_service_does(charts: Blockchain) -> None:
    assert charts.get("hash-rate").text == (
        '{"status":"ok","name":"Hash Rate","unit":"Hash Rate TH/s","period":"day",'
        '"description":"Estimated hashes a second of all miners, in tera.",'
        '"values":[{"x":1708992000,"y":5.60000000123E8},{"x":1709078400,"y":5000000},{"x":1709164800,"y":400}]}'
    )
    assert charts.get("hash-rate").headers["Content-Type"] == "application/json"
    assert charts.get("hash-rate").headers["Date"] == "Fri, 01 Mar 2024 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("0", "0"), ("28355.92", "28355.92"), ("188330.0", "188330"), ("9999999.99", "9999999.99"),
        ("14627700", "1.46277E7"), ("888054324.8996867", "8.880543248996867E8"), ("1e8", "1.0E8"),
        ("0.001", "0.001"), ("0.000000106", "1.06E-7"), ("-20000000", "-2.0E7"),
    ],
)  # fmt: skip
def test_numbers_have_an_exponent_from_ten_million_on(text: str, spelt: str) -> None:
    assert number(text) == spelt


def test_a_point_appears_after_its_day_partial_and_is_whole_a_day_later(charts: Blockchain, wall: Wall) -> None:
    newest = []
    for instant in ("2024-03-01T00:39:59", "2024-03-01T00:40:00", "2024-03-01T23:59:59", "2024-03-02T00:00:00"):
        wall.turn(f"{instant}+00:00")
        newest.append(charts.values("hash-rate")[-1])
    assert newest == [
        {"x": 1709078400, "y": 5_000_000},
        {"x": 1709164800, "y": 400},
        {"x": 1709164800, "y": 400},
        {"x": 1709164800, "y": 420.5},
    ]


def test_a_day_that_is_not_known_has_no_point(charts: Blockchain, wall: Wall) -> None:
    wall.turn("2024-02-29T12:00:00+00:00")
    assert [point["x"] for point in charts.values("hash-rate")] == [1708992000]


def test_charts_are_sampled_unless_asked_not_to(charts: Blockchain, folder: Path) -> None:
    years(folder, 4600)
    sampled = charts.values("market-price", timespan="all")
    assert len(sampled) == 1150
    assert {b["x"] - a["x"] for a, b in pairwise(sampled)} == {4 * 86400}
    assert len(charts.values("market-price", timespan="all", sampled="false")) == 4600
    assert len(charts.values("market-price", timespan="4years")) == 1460 - 30


def test_the_last_year_comes_unasked_and_a_span_counts_from_its_start(charts: Blockchain, folder: Path) -> None:
    years(folder, 1000)
    assert len(charts.values("market-price")) == 365 - 30
    asked = charts.values("market-price", start="2023-06-01", timespan="9days")
    assert [point["x"] for point in asked] == [1685577600 + 86400 * day for day in range(9)]
    assert len(charts.values("market-price", start="2024-01-30", timespan="all")) == 2
    assert charts.values("market-price", start="2024-02-20", timespan="9days") == []


@pytest.mark.parametrize(
    "params",
    [{"timespan": "forever"}, {"start": "yesterday"}, {"rollingAverage": "8hours"}, {"format": "csv"}],
)
def test_what_cannot_be_read_or_is_not_served_is_refused(charts: Blockchain, params: dict[str, str]) -> None:
    assert charts.get("hash-rate", **params).status_code == 400


def test_an_unknown_chart_is_not_found(charts: Blockchain) -> None:
    for path in ("/difficulty", "/hash-rate/more"):
        assert charts.http.get(path).status_code == 404


@pytest.mark.parametrize(("status", "kind"), [(429, "json"), (503, "html")])
def test_a_fault_is_matched_by_the_chart_in_the_path(charts: Blockchain, folder: Path, status: int, kind: str) -> None:
    years(folder, 10)
    fault = {"kind": "status", "status": status, "series": "hash-rate"}
    add_fault(charts.base_url, **fault)
    assert charts.get("market-price").status_code == 200
    answer = charts.get("hash-rate")
    assert answer.status_code == status
    assert kind in answer.headers["Content-Type"]


def test_an_ignored_parameter_leads_to_a_sampled_chart(charts: Blockchain, folder: Path) -> None:
    years(folder, 3100)
    add_fault(charts.base_url, kind="ignored", parameter="sampled")
    assert len(charts.values("market-price", timespan="all", sampled="false")) == 1034


def test_a_generated_folder_is_served_at_realistic_levels(generated: Path) -> None:
    with serving(generated, Wall("2026-11-22T12:00:30+00:00")) as url:
        charts = Blockchain(url)
        found = {
            name: charts.values(name, timespan="all", sampled="false")
            for name in ("hash-rate", "total-bitcoins", "market-price")
        }
    for points in found.values():
        assert [point["x"] for point in points] == [1542844800 + 86400 * day for day in range(2922)]
    rates, mined, prices = ([point["y"] for point in points] for points in found.values())
    assert 7.5e8 < rates[-1] < 1.1e9
    assert 3e7 < min(rates) < max(rates) < 1.3e9
    assert mined == sorted(mined)
    assert mined[0] > 17_300_000
    assert 19_687_500 < mined[-1] < 20_343_750
    assert 60_000 < prices[-1] < 110_000


def test_the_generated_price_lies_among_that_days_minutes(generated: Path) -> None:
    minutes = (generated / "binance/klines_1m/BTCUSDT.csv").read_text().split()
    day = [line.split(",") for line in minutes if line.startswith("2026-11-15")]
    rows = (generated / "blockchain/market_price/market-price.csv").read_text().split()
    price = [line.split(",")[1] for line in rows if line.startswith("2026-11-15")][-1]
    assert min(float(row[3]) for row in day) <= float(price) <= max(float(row[2]) for row in day)
