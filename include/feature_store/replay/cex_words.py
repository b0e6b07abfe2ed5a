"""How the venues of the CEX aggregator say no: some with a status, some with status 200."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from feature_store.replay import binance_words
from feature_store.replay.binance_limits import milliseconds_from_now

JSON = {"Content-Type": "application/json"}


class UnknownSymbol(Exception):  # noqa: N818 - it becomes the venue's own words
    """A venue was asked for something that it does not list."""


def unknown_symbol(host: str, at: int) -> Response:
    """What a venue says then; `at` is its clock, ms since 1970."""
    if host.startswith("binance"):
        return binance_words.error(400, -1121, "Invalid symbol.")
    answers: dict[str, tuple[int, Any]] = {
        "okx": (200, {"code": "51001", "data": [], "msg": "Instrument ID doesn't exist."}),
        "bybit": (200, _bybit(10001, "Not supported symbols", at)),
        "coinbase": (404, {"message": "NotFound"}),
        "kraken": (200, {"error": ["EQuery:Unknown asset pair"]}),
        "kraken-futures": (200, {"result": "success", "serverTime": _iso(at), "tickers": []}),
        "deribit": (400, _deribit(-32602, "Invalid params", at)),
        "bitget": (400, _bitget("40034", "Parameter does not exist", at)),
    }
    status, body = answers[host]
    return said(body, status)


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """The body for a status, in the manner of the host that the path names."""
    host = host_of(request)
    if host.startswith("binance"):
        return binance_words.refuse(request, status, message, retry_after)
    if status == HTTPStatus.FORBIDDEN:
        return Response(message or binance_words.FIREWALL, status, binance_words.HTML)
    is_too_fast, at = status == HTTPStatus.TOO_MANY_REQUESTS, milliseconds_from_now(0)
    words = message or HTTPStatus(status).phrase
    bodies: dict[str, Any] = {
        "okx": {"code": "50011" if is_too_fast else "50001", "data": [], "msg": words},
        "bybit": _bybit(10006 if is_too_fast else 10016, words, at),
        "coinbase": {"message": words},
        "kraken": {"error": [message or ("EAPI:Rate limit exceeded" if is_too_fast else "EService:Unavailable")]},
        "kraken-futures": {"result": "error", "error": message or ("apiLimitExceeded" if is_too_fast else words)},
        "deribit": _deribit(10028 if is_too_fast else 11050, message or "too_many_requests", at),
        "bitget": _bitget("429" if is_too_fast else "40015", words, at),
    }
    return said(bodies[host], status) if host in bodies else Response(f"no such host: {host}\n", status)


def said(body: Any, status: int = 200) -> Response:
    """A body as JSON."""
    return Response(json.dumps(body, separators=(",", ":")), status, JSON)


def host_of(request: Request) -> str:
    """The first part of the path below the mount, which stands for the host."""
    parts = request.url.path.strip("/").split("/")
    return parts[1] if len(parts) > 1 else ""


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def _bybit(code: int, message: str, at: int) -> dict[str, Any]:
    return {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": at}


def _deribit(code: int, message: str, at: int) -> dict[str, Any]:
    times = {"usIn": at * 1000, "usOut": at * 1000 + 210, "usDiff": 210, "testnet": False}
    return {"jsonrpc": "2.0", "error": {"message": message, "code": code}, **times}


def _bitget(code: str, message: str, at: int) -> dict[str, Any]:
    return {"code": code, "msg": message, "requestTime": at, "data": None}
