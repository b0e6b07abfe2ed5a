"""Rounds put together by hand: small answers in the shape of each venue, with numbers that are easily checked."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from feature_store.sources import cex
from feature_store.sources.contract import Payload, Row

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MS = round(NOON.timestamp() * 1000)
ISO = "2026-03-02T12:00:00.000Z"

BIDS, ASKS = [["99", "1"], ["98", "2"], ["95", "50"]], [["101", "1"], ["102", "3"], ["105", "50"]]
"""Mid 100, so that 98 and 102 count and 95 and 105 do not: 295 of bids and 407 of asks."""


def levels(side: list[list[str]], *more: Any) -> list[list[Any]]:
    return [[*level, *more] for level in side]


BOOKS: dict[str, list[Any]] = {
    "binance": [{"lastUpdateId": 7, "bids": BIDS, "asks": ASKS}],
    "okx": [
        {
            "code": "0",
            "msg": "",
            "data": [{"asks": levels(ASKS, "0", "1"), "bids": levels(BIDS, "0", "1"), "ts": str(MS)}],
        }
    ],
    "bybit": [
        {
            "retCode": 0,
            "retMsg": "OK",
            "result": {"s": "BTCUSDT", "b": BIDS, "a": ASKS, "ts": MS, "u": 1, "seq": 2, "cts": MS},
            "time": MS,
        }
    ],
    "coinbase": [
        {"bids": levels(BIDS, 3), "asks": levels(ASKS, 3), "sequence": 5, "time": "2026-03-02T12:00:00.123456Z"}
    ],
    "kraken": [
        {"error": [], "result": {"XXBTZUSD": {"asks": levels(ASKS, 1772452800), "bids": levels(BIDS, 1772452800)}}}
    ],
    "bitget": [
        {"code": "00000", "msg": "success", "requestTime": MS, "data": {"asks": ASKS, "bids": BIDS, "ts": str(MS)}}
    ],
}


def _ticker(symbol: str, tag: str, count: float, mark: float) -> dict[str, Any]:
    return {"symbol": symbol, "tag": tag, "pair": "XBT:USD", "markPrice": mark, "openInterest": count}


def _deribit(name: str, count: float) -> dict[str, Any]:
    result = {"timestamp": MS, "open_interest": count, "mark_price": 50000.5, "instrument_name": name, "bids": []}
    return {"jsonrpc": "2.0", "result": result, "usIn": MS * 1000, "usOut": MS * 1000 + 9, "usDiff": 9}


def _bybit(category: str, symbol: str, count: str, value: str) -> dict[str, Any]:
    row = {"symbol": symbol, "markPrice": "50000.00", "openInterest": count, "openInterestValue": value}
    return {"retCode": 0, "retMsg": "OK", "result": {"category": category, "list": [row]}, "time": MS}


def _okx(name: str, contracts: str, coins: str, dollars: str) -> dict[str, Any]:
    row = {"instId": name, "instType": "SWAP", "oi": contracts, "oiCcy": coins, "oiUsd": dollars, "ts": str(MS)}
    return {"code": "0", "data": [row], "msg": ""}


OPEN_INTEREST: dict[str, list[Any]] = {
    "binance": [
        {"symbol": "BTCUSDT", "openInterest": "100.500", "time": MS - 3000},
        {"symbol": "BTCUSDT", "markPrice": "50000.00000000", "indexPrice": "50001.00000000", "time": MS},
    ],
    "binance-coin": [
        {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "openInterest": "1234", "contractType": "PERPETUAL", "time": MS}
    ],
    "okx": [
        _okx("BTC-USDT-SWAP", "200000", "2000", "100000000.5"),
        _okx("BTC-USD-SWAP", "500000", "1000", "50000000"),
    ],
    "bybit": [
        _bybit("linear", "BTCUSDT", "2000", "100000000.25"),
        _bybit("inverse", "BTCUSD", "60000000", "1200"),
    ],
    "kraken": [
        {
            "result": "success",
            "serverTime": ISO,
            "tickers": [
                _ticker("PI_XBTUSD", "perpetual", 21279580.0, 50000.5),
                _ticker("PF_XBTUSD", "perpetual", 1000.25, 50000.5),
                _ticker("FI_XBTUSD_260626", "quarter", 9e9, 50000.5),
                _ticker("PF_ETHUSD", "perpetual", 9e9, 2000.5),
            ],
        }
    ],
    "deribit": [_deribit("BTC-PERPETUAL", 1139551440), _deribit("BTC_USDC-PERPETUAL", 10.5)],
    "bitget": [
        {
            "code": "00000",
            "msg": "success",
            "requestTime": MS,
            "data": {"openInterestList": [{"symbol": "BTCUSDT", "size": "1000.5"}], "ts": str(MS)},
        },
        {
            "code": "00000",
            "msg": "success",
            "requestTime": MS,
            "data": [{"symbol": "BTCUSDT", "price": "50001", "markPrice": "50000", "ts": str(MS)}],
        },
    ],
}
BODIES = {"books": BOOKS, "open_interest": OPEN_INTEREST}


def answers(*bodies: Any, arrived: datetime = NOON) -> list[dict[str, Any]]:
    """Of one venue; a body that is text already stays as it is."""
    return [
        {
            "url": "http://venue/path",
            "status": 200,
            "elapsed_ms": 3,
            "fetched_at": arrived.isoformat(),
            "body": body if isinstance(body, str) else json.dumps(body),
        }
        for body in bodies
    ]


def payload(stream: str, said: dict[str, Any]) -> Payload:
    """A round in which the venues said so."""
    content = json.dumps({"round": NOON.isoformat(), "venues": said}).encode()
    over = NOON + timedelta(milliseconds=250)
    return Payload(stream, f"cex/{stream}", {"series": "BTC"}, 200, "application/json", content, 250, over)


def row(stream: str, said: dict[str, Any]) -> Row:
    (read,) = cex.parse(payload(stream, said))
    return read


def told(stream: str, venue: str, *bodies: Any) -> dict[str, Any]:
    """What is told of one venue, beside another one that is well; of its usual answers without `bodies`."""
    well = next(name for name in BODIES[stream] if name != venue)
    said = {venue: answers(*(bodies or BODIES[stream][venue])), well: answers(*BODIES[stream][well])}
    found: dict[str, Any] = venues(row(stream, said))[venue]
    return found


def venues(read: Row) -> dict[str, Any]:
    text = read.values["venues"]
    assert isinstance(text, str)
    found: dict[str, Any] = json.loads(text)
    return found


def changed(body: Any, *path: Any, to: Any) -> Any:
    """The body with another value at a place."""
    body = copy.deepcopy(body)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return body
