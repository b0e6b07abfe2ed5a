"""Every recorded answer that belongs to an endpoint we read, with what is made of it. They are not part of this
repository."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from feature_store.catalog import load_catalog
from feature_store.sources.contract import Block, Payload, Row
from feature_store.warehouse.ingest import connector_of
from tests.recordings import RECORDED

FETCHED_AT = datetime(2026, 9, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    """An answer: where it is, and what the connector would have asked for it."""

    path: str
    stream: str
    """By the slug of its source: `binance/depth`."""
    endpoint: str
    params: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    part: int = 0
    """Which line of a file of several answers."""

    def __str__(self) -> str:
        return f"{self.path}:{self.part}" if self.part else self.path

    @property
    def parse(self) -> Callable[[Payload], Iterable[Row | Block]]:
        """The parser of its source."""
        return connector_of(load_catalog(), self.stream.partition("/")[0]).parse

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


FRED = "fred/pyfredapi"
GDP, VIX = {"series_id": "GDP"}, {"series_id": "VIXCLS"}
BTC = {"symbol": "BTCUSDT"}
BTC_1M = {**BTC, "interval": "1m", "startTime": "0", "endTime": "9999999999999"}
SINCE = {"first_vintage": "1991-12-04", "units": [["1991-12-04", "Billions of Dollars"]]}
OBSERVATIONS, DEPTH, KLINES = "series/observations", "api/v3/depth", "api/v3/klines"
OI_HIST = "futures/data/openInterestHist"
A_SNAPSHOT = f"1 rows, {FETCHED_AT:%Y-%m-%d} to {FETCHED_AT:%Y-%m-%d}"
DOWNLOAD = "refused: .* in the form of the site's download: averages, in milliseconds"


def binance(file: str, stream: str, endpoint: str, params: Mapping[str, str] = BTC, part: int = 0) -> Recorded:
    return Recorded(f"binance/{file}", f"binance/{stream}", endpoint, params, part=part)


def chains(day: int, chain: str) -> Recorded:
    path, stream = f"defillama/atlas/2026-08-{day}/stablecoincharts_{chain}.json.gz", "stablecoincharts"
    return Recorded(path, f"defillama/{stream}", f"{stream}/{chain}", context={"stream": stream, "series": chain})


def chart(file: str, name: str) -> Recorded:
    stream = f"blockchain/{name.replace('-', '_')}"
    return Recorded(f"blockchain_com/{file}", stream, f"charts/{name}", context={"series": name})


def oracle(file: str, part: int = 0) -> Recorded:
    return Recorded(f"etherscan/{file}", "etherscan/gasoracle", "api", part=part)


CASES = [
    (Recorded(f"{FRED}/test_get_series_vintagedates.yaml", "fred/observations", "series/vintagedates", GDP), "0 rows"),
    (Recorded(f"{FRED}/test_get_series_info.yaml", "fred/observations", "series", GDP), "0 rows"),
    (Recorded(f"{FRED}/test_get_series_pandas_.yaml", "fred/observations", OBSERVATIONS, GDP, SINCE),
     "315 rows, 1946-01-01 to 2024-07-01"),
    (Recorded(f"{FRED}/test_get_series_all_releases_pandas_.yaml", "fred/observations", OBSERVATIONS, GDP, SINCE),
     "3201 rows, 1946-01-01 to 2024-07-01"),
    (Recorded("fred/atlas/2026-08-22/fred_vixcls.json.gz", "fred/observations", OBSERVATIONS, VIX, SINCE),
     "43 rows, 2026-06-23 to 2026-08-20"),
    (Recorded("farside/juanbarmo10_btc_2026-07.html", "farside/btc", "bitcoin-etf-flow-all-data/"),
     "14 rows, 2026-07-06 to 2026-07-23"),
    (Recorded("farside/cloudflare_challenge_eth_2026-02-11.html", "farside/eth", "eth/"),
     "refused: .* one table of flows was due, 0 are there; the title is 'Just a moment...'"),
    *(
        (chains(day, chain), f"{rows} rows, {first} to 2026-08-{day}")
        for day, chain, rows, first in (
            (17, "all", 3184, "2017-11-29"), (18, "all", 3185, "2017-11-29"), (19, "all", 3186, "2017-11-29"),
            (17, "Terra", 400, "2022-05-12"), (18, "Terra", 400, "2022-05-12"), (19, "Terra", 400, "2022-05-12"),
        )
    ),
    (binance("cryptofeed/BINANCE.http.0.0.txt", "depth", DEPTH, {"symbol": "NKNUSDT", "limit": "1000"}), A_SNAPSHOT),
    (binance("nautilus/http_spot_market_depth.json", "depth", DEPTH), A_SNAPSHOT),
    (binance("nautilus/rs_depth_response.json", "depth", DEPTH), A_SNAPSHOT),
    (binance("nautilus/http_spot_market_klines.json", "klines_1m", KLINES, BTC_1M),
     "10 rows, 2021-10-22 to 2021-10-22"),
    (binance("nautilus/rs_klines_response.json", "klines_1m", KLINES, BTC_1M),
     "refused: .* the candle of 2017-07-03T00:00:00.* closes at 2017-07-09T23:59:59"),
    (binance("nautilus/rs_ticker_24hr_response.json", "ticker_24h", "api/v3/ticker/24hr", {"symbol": "BNBBTC"}),
     "1 rows, 2017-07-12 to 2017-07-12"),
    (binance("nautilus/http_futures_market_funding_rate.json", "funding_rate", "fapi/v1/fundingRate", BTC_1M),
     "2 rows, 2019-10-09 to 2019-10-09"),
    (binance("nautilus/http_futures_market_open_interest.json", "open_interest", "fapi/v1/openInterest"),
     "1 rows, 2020-05-14 to 2020-05-14"),
    (binance("nautilus/http_futures_market_open_interest_historical.json", "open_interest_hist", OI_HIST, BTC_1M),
     "2 rows, 2020-03-02 to 2020-03-02"),
    (binance("transcribed/live_2022_2026.jsonl", "open_interest", "fapi/v1/openInterest", part=3),
     "1 rows, 2026-08-27 to 2026-08-27"),
    (binance("transcribed/live_2022_2026.jsonl", "open_interest_hist", OI_HIST, BTC_1M, part=4),
     "1 rows, 2026-07-06 to 2026-07-06"),
    (chart("transcribed/charts_hash-rate_single_2026.json", "hash-rate"), "1 rows, 2026-03-16 to 2026-03-16"),
    (chart("transcribed/charts_market-price_2023-04.json", "market-price"), "15 rows, 2023-03-30 to 2023-04-13"),
    (chart("ui_export_hash-rate_180d_7D_2022-12.json", "hash-rate"), DOWNLOAD),
    (chart("ui_export_hash-rate_all_7D_2026-01.json", "hash-rate"), DOWNLOAD),
    (oracle("etherscan-python/logs_standard_get_gas_oracle.json"), A_SNAPSHOT),
    *(
        (oracle("transcribed/errors.jsonl", part), "refused: .* answered with status '0' and no gas oracle")
        for part in range(6)
    ),
    (oracle("transcribed/errors.jsonl", 6), "0 rows"),
    (Recorded("tradingview/transcribed/udf_history_aapl_ok.json", "tradingview/history", "history",
              {"symbol": "NASDAQ:AAPL", "resolution": "1D", "from": "0", "to": "9999999999"}),
     "9 rows, 2017-02-17 to 2017-03-02"),
]  # fmt: skip
"""Each answer, and what is made of it."""
