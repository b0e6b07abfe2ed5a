"""What a request to Binance asks for; what is wrong with it is refused in Binance's words (BinanceError)."""

import json
import re

from starlette.datastructures import QueryParams

from feature_store.replay.binance_candles import HOUR, MINUTE
from feature_store.replay.binance_words import BinanceError
from feature_store.replay.folder import Folder

SLUG = "binance"
PERIODS = {"1m": MINUTE, "1h": HOUR}
ELSEWHERE = ("1s", "3m", "5m", "15m", "30m", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""Intervals that Binance has and replay has not."""
MOST = 1000
"""Rows in one answer; who asks for more gets as many."""

SYMBOL, SYMBOL_RANGE = re.compile(r"[A-Z0-9_.-]{1,50}"), r"^[\w\-._&&[^a-z]]{1,50}$"
INTEGER, INTEGER_RANGE = re.compile(r"[0-9]{1,20}"), "^[0-9]{1,20}$"
SYMBOLS = re.compile(r'\[("[A-Z0-9_.-]{1,50}"(,"[A-Z0-9_.-]{1,50}")*)?\]')
SYMBOLS_RANGE = r'^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$'


def window(params: QueryParams, default: int) -> tuple[int | None, int | None, int]:
    """Start and end in ms, where they are given, and the limit: `default` without one, MOST at most."""
    start, end, limit = (integer(params, name) for name in ("startTime", "endTime", "limit"))
    if limit == 0:
        raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
    return start, end, default if limit is None else min(limit, MOST)


def integer(params: QueryParams, name: str) -> int | None:
    """A whole number, None where it is not given."""
    text = params.get(name)
    if text is None:
        return None
    if not text:
        raise BinanceError(-1105, f"Parameter '{name}' was empty.")
    if not INTEGER.fullmatch(text):
        raise _illegal(name, INTEGER_RANGE)
    return int(text)


def interval(params: QueryParams) -> str:
    """The length of candles."""
    text = mandatory(params, "interval")
    if text in ELSEWHERE:
        raise BinanceError(-1120, f"Invalid interval. Replay serves {' and '.join(PERIODS)}.")
    if text not in PERIODS:
        raise BinanceError(-1120, "Invalid interval.")
    return text


def choice(params: QueryParams, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """A parameter with few values."""
    text = params.get(name, default)
    if text not in allowed:
        raise BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return text


def symbol(params: QueryParams) -> str:
    """The symbol, whether there is one of that name or not."""
    text = mandatory(params, "symbol")
    if not SYMBOL.fullmatch(text):
        raise _illegal("symbol", SYMBOL_RANGE)
    return text


def spot_symbol(folder: Folder, params: QueryParams) -> str:
    """A symbol that there are candles of."""
    name = symbol(params)
    if name not in spot_names(folder):
        raise BinanceError(-1121, "Invalid symbol.")
    return name


def symbols(folder: Folder, params: QueryParams) -> list[str]:
    """Several symbols that there are candles of; all of them where none is named."""
    known = spot_names(folder)
    if "symbols" not in params:
        return known
    if not SYMBOLS.fullmatch(params["symbols"]):
        raise _illegal("symbols", SYMBOLS_RANGE)
    names: list[str] = json.loads(params["symbols"])
    if len(set(names)) < len(names):
        raise BinanceError(-1151, "Symbol is present multiple times in the list.")
    if not set(names) <= set(known):
        raise BinanceError(-1121, "Invalid symbol.")
    return names


def spot_names(folder: Folder) -> list[str]:
    """The symbols that there are candles of."""
    return sorted({name for stream in ("klines_1m", "klines_1h") for name in folder.names(SLUG, stream)})


def mandatory(params: QueryParams, name: str) -> str:
    """The text of a parameter that must be given."""
    text = params.get(name)
    if not text:
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return text


def _illegal(name: str, legal: str) -> BinanceError:
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
