"""What each parser makes of every recorded answer that belongs to an endpoint we read; the others have a reason.

The recordings are not part of this repository. Recorded answers of venues' order books and open interest, which are
read a part at a time, are in test_cex_recordings.
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from feature_store.errors import FeatureStoreError
from feature_store.sources.contract import Payload
from tests.recordings import RECORDED, needs_recordings

from .shapes import rows_of

pytestmark = needs_recordings


FETCHED_AT = datetime(2026, 9, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    """An answer: where it is, and what the connector would have asked for it."""

    path: str
    slug: str
    endpoint: str
    params: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    part: int = 0
    """Which line of a file of several answers."""

    def __str__(self) -> str:
        return f"{self.path}:{self.part}" if self.part else self.path

    def payload(self) -> Payload:
        return Payload(
            self.endpoint, self.path, self.params, 200, "", _content(RECORDED / self.path, self.part), 0,
            FETCHED_AT, self.context,
        )  # fmt: skip


def _content(path: Path, part: int) -> bytes:
    """The bytes of an answer, taken out of what the recorder put around it."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".yaml":
        return str(yaml.safe_load(path.read_text())["interactions"][-1]["response"]["body"]["string"]).encode()
    if path.suffix == ".jsonl":
        return json.dumps(json.loads(path.read_text().splitlines()[part])["body"]).encode()
    if path.suffix == ".txt":
        return path.read_text().splitlines()[part].partition(": ")[2].encode()
    if "etherscan-python" in path.parts:
        return json.dumps({"status": "1", "message": "OK", "result": json.loads(path.read_text())["res"]}).encode()
    return path.read_bytes()


def _made(recorded: Recorded) -> str:
    """How many rows of which days come out, or why none."""
    parse = import_module(f"feature_store.sources.{recorded.slug}").parse
    try:
        rows = rows_of(parse(recorded.payload()))
    except FeatureStoreError as error:
        return f"refused: {error}"
    days = [row.ts for row in rows]
    return f"{len(rows)} rows, {min(days):%Y-%m-%d} to {max(days):%Y-%m-%d}" if rows else "0 rows"


FRED, NAUTILUS, LLAMA = "fred/pyfredapi", "binance/nautilus", "defillama/atlas"
GDP = {"series_id": "GDP"}
BTC = {"symbol": "BTCUSDT"}
BTC_1M = {**BTC, "interval": "1m", "startTime": "0", "endTime": "9999999999999"}
SINCE = {"first_vintage": "1991-12-04", "units": [["1991-12-04", "Billions of Dollars"]]}
OBSERVATIONS, DEPTH, KLINES = "series/observations", "api/v3/depth", "api/v3/klines"
OI_HIST = "futures/data/openInterestHist"
A_SNAPSHOT = f"1 rows, {FETCHED_AT:%Y-%m-%d} to {FETCHED_AT:%Y-%m-%d}"
DOWNLOAD = "refused: .* in the form of the site's download: averages, in milliseconds"


def chart(file: str, name: str) -> Recorded:
    return Recorded(f"blockchain_com/{file}", "blockchain", f"charts/{name}", context={"series": name})


CASES = [
    (Recorded(f"{FRED}/test_get_series_vintagedates.yaml", "fred", "series/vintagedates", GDP), "0 rows"),
    (Recorded(f"{FRED}/test_get_series_info.yaml", "fred", "series", GDP), "0 rows"),
    (Recorded(f"{FRED}/test_get_series_pandas_.yaml", "fred", OBSERVATIONS, GDP, SINCE),
     "315 rows, 1946-01-01 to 2024-07-01"),
    (Recorded(f"{FRED}/test_get_series_all_releases_pandas_.yaml", "fred", OBSERVATIONS, GDP, SINCE),
     "3201 rows, 1946-01-01 to 2024-07-01"),
    (Recorded("fred/atlas/2026-08-22/fred_vixcls.json.gz", "fred", OBSERVATIONS, {"series_id": "VIXCLS"}, SINCE),
     "43 rows, 2026-06-23 to 2026-08-20"),
    (Recorded("farside/juanbarmo10_btc_2026-07.html", "farside", "bitcoin-etf-flow-all-data/"),
     "14 rows, 2026-07-06 to 2026-07-23"),
    (Recorded("farside/cloudflare_challenge_eth_2026-02-11.html", "farside", "eth/"),
     "refused: .* one table of flows was due, 0 are there; the title is 'Just a moment...'"),
    *(
        (Recorded(f"{LLAMA}/2026-08-{day}/stablecoincharts_{chain}.json.gz", "defillama", f"stablecoincharts/{chain}",
                  context={"stream": "stablecoincharts", "series": chain}),
         f"{rows} rows, {first} to 2026-08-{day}")
        for day, chain, rows, first in (
            (17, "all", 3184, "2017-11-29"), (18, "all", 3185, "2017-11-29"), (19, "all", 3186, "2017-11-29"),
            (17, "Terra", 400, "2022-05-12"), (18, "Terra", 400, "2022-05-12"), (19, "Terra", 400, "2022-05-12"),
        )
    ),
    (Recorded("binance/cryptofeed/BINANCE.http.0.0.txt", "binance", DEPTH, {"symbol": "NKNUSDT", "limit": "1000"}),
     A_SNAPSHOT),
    (Recorded(f"{NAUTILUS}/http_spot_market_depth.json", "binance", DEPTH, BTC), A_SNAPSHOT),
    (Recorded(f"{NAUTILUS}/rs_depth_response.json", "binance", DEPTH, BTC), A_SNAPSHOT),
    (Recorded(f"{NAUTILUS}/http_spot_market_klines.json", "binance", KLINES, BTC_1M),
     "10 rows, 2021-10-22 to 2021-10-22"),
    (Recorded(f"{NAUTILUS}/rs_klines_response.json", "binance", KLINES, BTC_1M),
     "refused: .* the candle of 2017-07-03T00:00:00.* closes at 2017-07-09T23:59:59"),
    (Recorded(f"{NAUTILUS}/rs_ticker_24hr_response.json", "binance", "api/v3/ticker/24hr", {"symbol": "BNBBTC"}),
     "1 rows, 2017-07-12 to 2017-07-12"),
    (Recorded(f"{NAUTILUS}/http_futures_market_funding_rate.json", "binance", "fapi/v1/fundingRate", BTC_1M),
     "2 rows, 2019-10-09 to 2019-10-09"),
    (Recorded(f"{NAUTILUS}/http_futures_market_open_interest.json", "binance", "fapi/v1/openInterest", BTC),
     "1 rows, 2020-05-14 to 2020-05-14"),
    (Recorded(f"{NAUTILUS}/http_futures_market_open_interest_historical.json", "binance", OI_HIST, BTC_1M),
     "2 rows, 2020-03-02 to 2020-03-02"),
    (Recorded("binance/transcribed/live_2022_2026.jsonl", "binance", "fapi/v1/openInterest", BTC, part=3),
     "1 rows, 2026-08-27 to 2026-08-27"),
    (Recorded("binance/transcribed/live_2022_2026.jsonl", "binance", OI_HIST, BTC_1M, part=4),
     "1 rows, 2026-07-06 to 2026-07-06"),
    (chart("transcribed/charts_hash-rate_single_2026.json", "hash-rate"), "1 rows, 2026-03-16 to 2026-03-16"),
    (chart("transcribed/charts_market-price_2023-04.json", "market-price"), "15 rows, 2023-03-30 to 2023-04-13"),
    (chart("ui_export_hash-rate_180d_7D_2022-12.json", "hash-rate"), DOWNLOAD),
    (chart("ui_export_hash-rate_all_7D_2026-01.json", "hash-rate"), DOWNLOAD),
    (Recorded("etherscan/etherscan-python/logs_standard_get_gas_oracle.json", "etherscan", "api"), A_SNAPSHOT),
    *(
        (Recorded("etherscan/transcribed/errors.jsonl", "etherscan", "api", part=part),
         "refused: .* answered with status '0' and no gas oracle")
        for part in range(6)
    ),
    (Recorded("etherscan/transcribed/errors.jsonl", "etherscan", "api", part=6), "0 rows"),
    (Recorded("tradingview/transcribed/udf_history_aapl_ok.json", "tradingview", "history",
              {"symbol": "NASDAQ:AAPL", "resolution": "1D", "from": "0", "to": "9999999999"}),
     "9 rows, 2017-02-17 to 2017-03-02"),
]  # fmt: skip
"""Each answer, and what is made of it."""

NOT_ASKED = "of an endpoint that is not asked"
OTHERS = {
    r".*(INDEX\.md|manifest\.json|_downloaded_at\.txt)": "about the recordings",
    r"binance/nautilus/http_spot_market_(?!depth|klines).*": NOT_ASKED,
    r"binance/nautilus/rs_(avg_price|exchange_info|server_time)_.*": NOT_ASKED,
    r"binance/nautilus/http_futures_market_(depth|klines|premium_index|ticker_.*)\.json": NOT_ASKED,
    r"binance/(nautilus/btcusdt-depth-.*|cryptofeed/BINANCE_FUTURES.*|index-fund-bot/.*)": NOT_ASKED,
    r"cex/nautilus/(okx/http_get_(order_book|instruments_swap)|bybit/http_get_orderbook)\.json": "test_cex_recordings",
    r"cex/nautilus/kraken/http_(order_book|futures_tickers)\.json": "test_cex_recordings",
    r"cex/.*": NOT_ASKED,
    r"defillama/.*/(stablecoinchains|stablecoins_withprices)\.json\.gz": NOT_ASKED,
    r"etherscan/etherscan-python/logs_standard_get_(?!gas_oracle).*": NOT_ASKED,
    r"etherscan/transcribed/ethsupply_v2\.json": NOT_ASKED,
    r"fred/pyfredapi/test_get_release(_dates)?\.yaml": NOT_ASKED,
    r"tradingview/(metainfo/.*|transcribed/scanner\.jsonl)": NOT_ASKED,
}
"""Why the other files are not read."""


@pytest.mark.parametrize(("recorded", "made"), CASES, ids=lambda value: str(value)[:80])
def test_what_is_made_of_a_recorded_answer(recorded: Recorded, made: str) -> None:
    assert re.match(made, _made(recorded))


def test_every_recorded_file_is_read_or_has_a_reason() -> None:
    read = {recorded.path for recorded, _ in CASES}
    there = {str(path.relative_to(RECORDED)) for path in RECORDED.rglob("*") if path.is_file()}
    assert read <= there
    assert [path for path in sorted(there - read) if not any(re.fullmatch(known, path) for known in OTHERS)] == []
