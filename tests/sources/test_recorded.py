"""What each parser makes of every recorded answer that belongs to an endpoint we read; the others have a reason.

Recorded answers of venues' order books and open interest, which are read a part at a time, are in test_cex_recordings.
"""

import re

import pytest

from feature_store.errors import FeatureStoreError
from tests.recordings import RECORDED, needs_recordings

from .recorded import CASES, Recorded
from .shapes import rows_of

pytestmark = needs_recordings

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


def _made(recorded: Recorded) -> str:
    """How many rows of which days come out, or why none."""
    try:
        rows = rows_of(recorded.parse(recorded.payload()))
    except FeatureStoreError as error:
        return f"refused: {error}"
    days = [row.ts for row in rows]
    return f"{len(rows)} rows, {min(days):%Y-%m-%d} to {max(days):%Y-%m-%d}" if rows else "0 rows"


@pytest.mark.parametrize(("recorded", "made"), CASES, ids=lambda value: str(value)[:80])
def test_what_is_made_of_a_recorded_answer(recorded: Recorded, made: str) -> None:
    assert re.match(made, _made(recorded))


def test_every_recorded_file_is_read_or_has_a_reason() -> None:
    read = {recorded.path for recorded, _ in CASES}
    there = {str(path.relative_to(RECORDED)) for path in RECORDED.rglob("*") if path.is_file()}
    assert read <= there
    assert [path for path in sorted(there - read) if not any(re.fullmatch(known, path) for known in OTHERS)] == []
