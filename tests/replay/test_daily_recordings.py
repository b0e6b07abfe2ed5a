"""Replay's answers against recorded ones of DefiLlama and Blockchain.com, and their parsers over both."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_store.errors import Malformed
from feature_store.replay.convert import convert
from feature_store.sources import blockchain, defillama
from feature_store.sources.contract import Payload, Row
from tests.recordings import REAL, needs_recordings

from .server import Wall, serving, write

LLAMA, CHARTS = REAL / "recorded/defillama/atlas", REAL / "recorded/blockchain_com"
DAYS = ("2026-08-17", "2026-08-18", "2026-08-19")
NOW = datetime(2026, 8, 22, tzinfo=UTC)
PEGS = ("peggedUSD", "peggedEUR", "peggedJPY")

pytestmark = needs_recordings


def recorded(day: str, series: str = "all") -> bytes:
    return gzip.decompress((LLAMA / day / f"stablecoincharts_{series}.json.gz").read_bytes())


def decoded(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


def stablecoins(body: bytes, series: str = "all") -> list[Row]:
    context = {"stream": "stablecoincharts", "series": series}
    return list(defillama.parse(Payload("x", "http://x", {}, 200, "application/json", body, 1, NOW, context)))


def chart(name: str, body: bytes) -> list[Row]:
    context = {"series": name}
    return list(blockchain.parse(Payload("x", "http://x", {}, 200, "application/json", body, 1, NOW, context)))


def lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The folder's table of recorded rows, by the pegs that it has columns for."""
    yield "ts,value,peggedUSD_units,peggedEUR_usd,peggedEUR_units,peggedJPY_usd,peggedJPY_units"
    for row in rows:
        usd, units = row["totalCirculatingUSD"], row["totalCirculating"]
        cells = [units["peggedUSD"], *(of.get(peg, "") for peg in PEGS[1:] for of in (usd, units))]
        total = sum(Decimal(usd[peg]) for peg in PEGS if peg in usd)
        yield ",".join(map(str, [datetime.fromtimestamp(int(row["date"]), UTC).date(), total, *cells]))


def served(folder: Path, path: str, instant: str = "2026-08-22T12:00:00+00:00") -> bytes:
    with serving(folder, Wall(instant)) as url:
        return httpx.get(f"{url}/{path}", timeout=None).raise_for_status().content


def test_early_stablecoin_rows_are_answered_byte_for_byte(tmp_path: Path) -> None:
    told = recorded(DAYS[-1])
    early = told[: told.index(b',{"date":"1532822400"')] + b"]"
    write(tmp_path, "all", "\n".join(lines([*decoded(early), decoded(told)[-1]])), "defillama/stablecoincharts")
    answer = served(tmp_path, "defillama/stablecoincharts/all")
    assert len(decoded(early)) == 242
    assert answer.startswith(early[:-1] + b",")


def test_all_stablecoin_rows_have_the_recorded_keys_types_and_numbers(tmp_path: Path) -> None:
    told = decoded(recorded(DAYS[-1]))
    write(tmp_path, "all", "\n".join(lines(told)), "defillama/stablecoincharts")
    answered = decoded(served(tmp_path, "defillama/stablecoincharts/all", "2026-08-20T12:00:00+00:00"))
    assert len(answered) == len(told)
    for mine, theirs in zip(answered, told, strict=True):
        assert list(mine) == list(theirs)
        assert mine["date"] == theirs["date"]
        for part in ("totalCirculating", "totalCirculatingUSD"):
            kept = {peg: value for peg, value in theirs[part].items() if peg in PEGS}
            assert list(mine[part].items()) == list(kept.items())
            assert list(map(type, mine[part].values())) == list(map(type, kept.values()))
        for part in set(theirs) - {"date", "totalCirculating", "totalCirculatingUSD"}:
            assert set(mine[part]) <= set(theirs[part])


@pytest.mark.parametrize(("series", "counts"), [("all", (3184, 3185, 3186)), ("Terra", (400, 400, 400))])
def test_every_recorded_stablecoin_row_is_read_exactly(series: str, counts: tuple[int, ...]) -> None:
    for day, count in zip(DAYS, counts, strict=True):
        body = recorded(day, series)
        rows = stablecoins(body, series)
        assert [row.values["total_circulating_usd"] for row in rows] == [
            sum(map(Decimal, row["totalCirculatingUSD"].values())) for row in decoded(body)
        ]
        assert len(rows) == count
        assert [json.loads(str(row.values["circulating"]), parse_float=Decimal) for row in rows] == [
            row["totalCirculating"] for row in decoded(body)
        ]


def test_recorded_answers_of_other_endpoints_are_malformed() -> None:
    for name in ("stablecoinchains", "stablecoins_withprices"):
        with pytest.raises(Malformed):
            stablecoins(gzip.decompress((LLAMA / DAYS[0] / f"{name}.json.gz").read_bytes()))


def test_a_real_history_of_stablecoins_comes_back_whole(real_series: Path, tmp_path: Path) -> None:
    source = real_series / "stablecoin_mcap/stablecoin_supply_finance-terminal.csv"
    convert(source, "defillama/stablecoincharts/all", tmp_path)
    with source.open() as file:
        told = [(row["as_of"], Decimal(row["value"])) for row in csv.DictReader(file) if row["value"]]
    rows = stablecoins(served(tmp_path, "defillama/stablecoincharts/all", "2026-10-01T00:00:00+00:00"))
    assert [(str(row.ts.date()), row.values["total_circulating_usd"]) for row in rows] == told


def test_recorded_charts_are_answered_in_the_same_form(tmp_path: Path) -> None:
    for name, file, count in (
        ("market-price", "charts_market-price_2023-04", 15),
        ("hash-rate", "charts_hash-rate_single_2026", 1),
    ):
        body = (CHARTS / f"transcribed/{file}.json").read_bytes()
        told = decoded(body)
        table = [f"{datetime.fromtimestamp(point['x'], UTC).date()},{point['y']}" for point in told["values"]]
        write(tmp_path, name, "\n".join(["ts,value", *table]), f"blockchain/{name.replace('-', '_')}")
        answered = decoded(served(tmp_path, f"blockchain/charts/{name}?timespan=all"))
        # The recorded point of the hash rate lacks its description.
        assert [key for key in answered if key in told] == list(told)
        assert {**answered, "description": None} == {**told, "description": None}
        assert chart(name, body) == chart(name, json.dumps(answered, default=float).encode())
        assert len(chart(name, body)) == count


@pytest.mark.parametrize("name", ["ui_export_hash-rate_all_7D_2026-01", "ui_export_hash-rate_180d_7D_2022-12"])
def test_the_recorded_downloads_of_the_site_are_malformed(name: str) -> None:
    with pytest.raises(Malformed, match="the site's download"):
        chart("hash-rate", (CHARTS / f"{name}.json").read_bytes())
