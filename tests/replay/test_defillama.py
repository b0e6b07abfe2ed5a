"""DefiLlama's wire format: shapes, times, words of refusal, and faults."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults import add_fault, clear_faults

from .server import Wall, serving, write

HEADER = "ts,value,available_at,peggedUSD_units,peggedEUR_usd,peggedEUR_units,peggedJPY_usd,peggedJPY_units"
STABLE = f"""{HEADER}
2018-07-28,100,2018-07-29T06:30:00Z,,,,,
2018-07-29,5000,2018-07-30T06:30:00Z,5001,,,,
2020-09-01,200,2020-09-02T06:30:00Z,,,,,
2024-02-28,1000,2024-02-29T06:30:00Z,900,70,60,30,4500
2024-02-29,1100.25,2024-02-29T03:12:00Z,1000.5,70.5,60,29.75,4500
2024-02-29,1099,2024-03-01T06:30:00Z,1000,70,60,29,4500
2024-03-01,1200.5,2024-03-01T03:40:00Z,1100.25,71,61,30,4500.5
"""
TVL = """ts,value,available_at
2024-02-28,10.25,2024-02-28T03:00:00Z
2024-02-28,10,2024-02-29T06:30:00Z
2024-02-29,,2024-02-29T03:00:00Z
2024-02-29T11:20:01Z,12.5,2024-02-29T11:20:01Z
"""


class DefiLlama:
    def __init__(self, url: str) -> None:
        self.base_url = url
        self.http = httpx.Client(base_url=f"{url}/defillama", timeout=None, trust_env=False)

    def text(self, path: str) -> str:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        return answer.text

    def ok(self, path: str) -> Any:
        return json.loads(self.text(path), parse_float=Decimal)


@pytest.fixture
def llama(shared_server: tuple[str, Path, Wall], folder: Path, wall: Wall) -> DefiLlama:
    clear_faults(shared_server[0])
    write(folder, "all", STABLE, "defillama/stablecoincharts")
    write(folder, "Ethereum", TVL, "defillama/historical_chain_tvl")
    write(folder, "Dexs", "ts,value\n2024-03-01T11:00:00Z,1000000.01\n2024-03-01T12:00:00Z,2000000.07\n", PROTOCOLS)
    return DefiLlama(shared_server[0])


PROTOCOLS = "defillama/protocols"


def test_stablecoins_have_three_shapes_of_rows_and_their_dates_are_text(llama: DefiLlama) -> None:
    rows = llama.ok("/stablecoincharts/all")
    early, later = ["date", "totalCirculating", "totalCirculatingUSD"], 2
    with_unreleased = [*early[:later], "totalUnreleased", *early[later:]]
    assert [list(row) for row in rows[:-1]] == [early, with_unreleased, early, with_unreleased, with_unreleased]
    assert list(rows[-1]) == [*with_unreleased, "totalMintedUSD", "totalBridgedToUSD"]
    assert [row["date"] for row in rows[:2]] == ["1532736000", "1532822400"]


def test_pegs_add_up_to_the_folders_value_and_are_absent_where_it_has_none(llama: DefiLlama) -> None:
    rows = llama.ok("/stablecoincharts/all")
    assert [sum(row["totalCirculatingUSD"].values()) for row in rows] == [
        100, 5000, 200, 1000, 1099, Decimal("1200.5"),
    ]  # fmt: skip
    assert list(rows[0]["totalCirculating"]) == ["peggedUSD"]
    assert rows[3]["totalCirculating"] == {"peggedUSD": 900, "peggedEUR": 60, "peggedJPY": 4500}
    assert rows[3]["totalCirculatingUSD"] == {"peggedUSD": 900, "peggedEUR": 70, "peggedJPY": 30}


def test_a_file_of_values_alone_is_served_as_dollars_in_their_own_digits(llama: DefiLlama, folder: Path) -> None:
    write(folder, "all", "ts,value\n2017-11-29,110105\n2017-11-30,110105.5\n", "defillama/stablecoincharts")
    rows = llama.ok("/stablecoincharts/all")
    assert [row["totalCirculatingUSD"] for row in rows] == [{"peggedUSD": 110105}, {"peggedUSD": Decimal("110105.5")}]
    assert rows[0]["totalCirculating"] == {"peggedUSD": 110105}


def test_a_value_that_is_not_known_is_null(llama: DefiLlama, folder: Path) -> None:
    write(folder, "all", "ts,value\n2017-11-29,\n2017-11-30,5\n", "defillama/stablecoincharts")
    assert llama.ok("/stablecoincharts/all")[0]["totalCirculatingUSD"] == {"peggedUSD": None}


def test_settled_rows_are_whole_numbers_and_the_running_day_has_cents(llama: DefiLlama, wall: Wall) -> None:
    wall.turn("2024-03-01T06:29:59+00:00")
    assert '"totalCirculatingUSD":{"peggedUSD":1099.5,' in llama.text("/stablecoincharts/all")
    assert '{"date":"1709164800","totalCirculating":{"peggedUSD":1000.5' in llama.text("/stablecoincharts/all")
    wall.turn("2024-03-01T06:30:00+00:00")
    assert '{"date":"1709164800","totalCirculating":{"peggedUSD":1000,' in llama.text("/stablecoincharts/all")


def test_a_day_appears_in_its_morning(llama: DefiLlama, wall: Wall) -> None:
    wall.turn("2024-03-01T03:39:59+00:00")
    assert len(llama.ok("/stablecoincharts/all")) == 5
    wall.turn("2024-03-01T03:40:00+00:00")
    assert len(llama.ok("/stablecoincharts/all")) == 6


def test_value_locked_has_whole_dates_and_unknown_days_have_no_row(llama: DefiLlama) -> None:
    assert llama.text("/v2/historicalChainTvl/Ethereum") == (
        '[{"date":1709078400,"tvl":10},{"date":1709205601,"tvl":12.5}]'
    )


def test_protocols_add_up_to_the_folders_newest_value_to_the_cent(llama: DefiLlama, wall: Wall) -> None:
    for instant, total in (("2024-03-01T11:59:59", "1000000.01"), ("2024-03-01T12:00:00", "2000000.07")):
        wall.turn(f"{instant}+00:00")
        rows = [row for row in llama.ok("/protocols") if row["category"] == "Dexs"]
        assert len(rows) == 13
        assert [row["tvl"] for row in rows].count(None) == 1
        assert sum(row["tvl"] for row in rows if row["tvl"] is not None) == Decimal(total)
    assert {row["category"] for row in llama.ok("/protocols")} == {"Dexs", "Lending", "CEX"}


def test_a_chain_that_is_not_known_is_an_empty_list_or_a_message(llama: DefiLlama) -> None:
    assert llama.text("/v2/historicalChainTvl/ethereum") == "[]"
    answer = llama.http.get("/stablecoincharts/Nowhere")
    assert (answer.status_code, answer.json()) == (404, {"message": "chain Nowhere not found"})


def test_an_unknown_path_is_plain_text(llama: DefiLlama) -> None:
    answer = llama.http.get("/v2/nothing")
    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(("status", "kind"), [(429, "json"), (403, "html"), (502, "html"), (404, "plain")])
def test_a_status_comes_with_the_sources_own_body(llama: DefiLlama, status: int, kind: str) -> None:
    add_fault(llama.base_url, kind="status", status=status, source="defillama")
    answer = llama.http.get("/protocols")
    assert answer.status_code == status
    assert kind in answer.headers["Content-Type"]
    assert llama.http.get("/protocols").status_code == 200


def test_a_fault_is_matched_by_the_chain_in_the_path(llama: DefiLlama) -> None:
    add_fault(llama.base_url, kind="status", status=500, series="Ethereum")
    assert llama.http.get("/stablecoincharts/all").status_code == 200
    assert llama.http.get("/protocols").status_code == 200
    assert llama.http.get("/v2/historicalChainTvl/Ethereum").status_code == 500


def test_a_renamed_field_is_renamed_in_every_row(llama: DefiLlama) -> None:
    fault = {"kind": "renamed", "field": "totalCirculatingUSD", "to": "circulatingUSD"}
    add_fault(llama.base_url, **fault)
    assert all("circulatingUSD" in row for row in llama.ok("/stablecoincharts/all"))


def test_the_date_header_follows_the_clock(llama: DefiLlama) -> None:
    assert llama.http.get("/protocols").headers["Date"] == "Fri, 01 Mar 2024 12:00:00 GMT"


def test_a_generated_folder_is_served_at_realistic_levels(generated: Path) -> None:
    with serving(generated, Wall("2026-11-22T12:00:30+00:00")) as url:
        llama = DefiLlama(url)
        stable, locked, protocols = (
            llama.ok(path) for path in ("/stablecoincharts/all", "/v2/historicalChainTvl/Ethereum", "/protocols")
        )
    assert stable[-1]["date"] == str(locked[-1]["date"]) == "1795305600"
    assert 3.0e11 < sum(stable[-1]["totalCirculatingUSD"].values()) < 3.6e11
    assert list(stable[-1]["totalCirculatingUSD"]) == ["peggedUSD", "peggedEUR", "peggedJPY"]
    assert 4e10 < locked[-1]["tvl"] < 9e10
    assert 1e10 < sum(row["tvl"] or 0 for row in protocols if row["category"] == "Dexs") < 3e10
    for rows in (stable, locked):
        dates = [int(row["date"]) for row in rows]
        assert dates == list(range(dates[0], dates[-1] + 1, 86400))
        assert len(dates) == 2923


def test_a_generated_history_is_rewritten_by_half_a_percent_at_once(generated: Path) -> None:
    day = "2026-08-02T"
    answers = []
    for instant in (f"{day}13:59:00+00:00", f"{day}14:00:00+00:00"):
        with serving(generated, Wall(instant)) as url:
            rows = DefiLlama(url).ok("/stablecoincharts/all")
            answers.append({row["date"]: sum(row["totalCirculatingUSD"].values()) for row in rows})
    changed = [float(after / answers[0][date] - 1) for date, after in answers[1].items() if after != answers[0][date]]
    assert len(changed) == 299
    assert all(0.002 < abs(share) < 0.008 for share in changed)
