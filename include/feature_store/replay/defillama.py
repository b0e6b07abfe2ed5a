"""DefiLlama: stablecoins by peg, value locked on chains and in protocols. https://api-docs.defillama.com/

Real bases: https://stablecoins.llama.fi for `/stablecoincharts`, https://api.llama.fi for the rest; both are under one
mount here. What is faithful and what is not is listed in docs/replay.md.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay.folder import Folder, History, Row, plain
from feature_store.replay.mount import Mount, Now

SLUG = "defillama"
JSON, HTML, TEXT = ({"Content-Type": kind} for kind in ("application/json", "text/html", "text/plain; charset=utf-8"))
NOT_FOUND = "404 page not found"
PAGE = (
    "<html>\r\n<head><title>{reason}</title></head>\r\n<body>\r\n<center><h1>{reason}</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)
PAGES = {
    403: "403 Forbidden",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}
MESSAGES = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}

OTHER_PEGS = ("peggedEUR", "peggedJPY")
"""Pegs that the folder may state beside the dollars, which have the rest of the value."""
UNRELEASED = (date(2018, 7, 29), date(2020, 9, 1), date(2021, 4, 23))
"""Rows have a `totalUnreleased` from the first of these days to the second, and again from the third on."""
UNRELEASED_SHARE = 50
"""The units in circulation are this many times those that are not released."""

SHARES = (240, 170, 130, 110, 90, 80, 60, 50, 40, 20, 10)
"""How the protocols of a category share its value, in thousandths; one more has no value at all."""
ELSEWHERE = (("Lending", "Example Lending", "41250678901.25"), ("CEX", "Example Exchange", "160412345678.5"))
"""Protocols of other categories, with the value locked in each."""


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The three endpoints."""

    def endpoint(answer: Callable[[Folder, Request, datetime], Response]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            instant = now()
            response = answer(folder, request, instant)
            response.headers["Date"] = format_datetime(instant, usegmt=True)
            return response

        return serve

    return [
        Route("/stablecoincharts/{series}", endpoint(stablecoincharts)),
        Route("/protocols", endpoint(protocols)),
        Route("/v2/historicalChainTvl/{series}", endpoint(historical_chain_tvl)),
    ]


def stablecoincharts(folder: Folder, request: Request, now: datetime) -> Response:
    """`stablecoincharts/{chain}`: every day, its date as text; a chain that is not known is told so."""
    history = folder.history(SLUG, "stablecoincharts", request.path_params["series"])
    if history is None:
        return refuse(request, 404, f"chain {request.path_params['series']} not found")
    return Response(_charts(history, history.visible(now)), 200, JSON)


def historical_chain_tvl(folder: Folder, request: Request, now: datetime) -> Response:
    """`v2/historicalChainTvl/{chain}`: every day, its date a number; of a chain that is not known an empty list."""
    history = folder.history(SLUG, "historical_chain_tvl", request.path_params["series"])
    return Response(_tvl(history, history.visible(now)) if history else b"[]", 200, JSON)


def protocols(folder: Folder, _: Request, now: datetime) -> Response:
    """`protocols`: all of them as of now, in the order of their value."""
    found: list[tuple[str, str, Decimal | None]] = [(kind, name, Decimal(tvl)) for kind, name, tvl in ELSEWHERE]
    for category in folder.names(SLUG, "protocols"):
        history = folder.history(SLUG, "protocols", category)
        newest = _held(history, history.visible(now))[-1:] if history else []
        for row in newest:
            found += _shared(category, row.value)
    found.sort(key=lambda protocol: -1 if protocol[2] is None else protocol[2], reverse=True)
    return Response(_array(_protocol(at, *each) for at, each in enumerate(found, start=1)), 200, JSON)


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """DefiLlama's words: an outage's plain text, the pages of the machines before it, or a message."""
    if status == 404 and not message:
        return Response(NOT_FOUND, status, TEXT)
    if status in PAGES:
        return Response(PAGE.format(reason=PAGES[status]), status, HTML)
    return Response(_object(message=json.dumps(message or MESSAGES.get(status, "Error"))), status, JSON)


def series_of(request: Request) -> str | None:
    """The chain, which is the last part of the path; `protocols` names none."""
    _, _, name = str(request.scope["path"]).rstrip("/").rpartition("/")
    return None if name == "protocols" else name


MOUNT = Mount(SLUG, series_of, routes, refuse)


@lru_cache(maxsize=4)
def _charts(history: History, visible: int) -> bytes:
    rows = _held(history, visible)
    return _array(_chart(row, is_last=row is rows[-1]) for row in rows)


@lru_cache(maxsize=4)
def _tvl(history: History, visible: int) -> bytes:
    """A day whose value is not known has no row."""
    held = (row for row in _held(history, visible) if row.value)
    return _array(_object(date=str(_seconds(row)), tvl=_number(row.value)) for row in held)


def _held(history: History, visible: int) -> list[Row]:
    """The newest value of every point, in the order of time."""
    newest = {row.ts: row for row in history.rows[:visible]}
    return [newest[ts] for ts in sorted(newest)]


def _chart(row: Row, is_last: bool) -> str:
    usd, units = {"peggedUSD": ""}, {"peggedUSD": row.further.get("peggedUSD_units", "")}
    rest = Decimal(row.value or 0)
    for peg in OTHER_PEGS:
        value, number = row.further.get(f"{peg}_usd", ""), row.further.get(f"{peg}_units", "")
        if value or number:
            usd[peg], units[peg] = value, number or value
            rest -= Decimal(value or 0)
    if row.value:
        usd["peggedUSD"] = plain(rest)
    units["peggedUSD"] = units["peggedUSD"] or usd["peggedUSD"]
    parts = {"date": f'"{_seconds(row)}"', "totalCirculating": _pegs(units)}
    first, gap, again = UNRELEASED
    if first <= row.ts.date() < gap or row.ts.date() >= again:
        unreleased = {"peggedUSD": str(int(Decimal(units["peggedUSD"] or 0) / UNRELEASED_SHARE))}
        parts["totalUnreleased"] = _pegs({**dict.fromkeys(units, "0"), **unreleased} if is_last else unreleased)
    parts["totalCirculatingUSD"] = _pegs(usd)
    if is_last:
        parts |= dict.fromkeys(("totalMintedUSD", "totalBridgedToUSD"), _pegs(dict.fromkeys(units, "0")))
    return _object(**parts)


def _shared(category: str, value: str) -> Iterator[tuple[str, str, Decimal | None]]:
    """Protocols of a category whose values add up to its own, and one without."""
    total = Decimal(value) if value else None
    rest = total
    for at, share in enumerate(SHARES, start=2):
        part = None
        if total is not None and rest is not None:
            part = (total * share / 1000).quantize(Decimal("0.01"), ROUND_DOWN)
            rest -= part
        yield category, f"{category} {at}", part
    yield category, f"{category} 1", rest
    yield category, f"{category} {len(SHARES) + 2}", None


def _protocol(number: int, category: str, name: str, tvl: Decimal | None) -> str:
    value = "null" if tvl is None else plain(tvl)
    fields: dict[str, Any] = {
        "id": str(number),
        "name": name,
        "address": None,
        "symbol": "-",
        "chain": "Ethereum",
        "category": category,
        "chains": ["Ethereum"],
        "slug": name.lower().replace(" ", "-"),
    }
    return _object(
        **{key: json.dumps(content) for key, content in fields.items()},
        tvl=value,
        chainTvls=_object() if tvl is None else _object(Ethereum=value),
        change_1h="null",
        change_1d="null",
        change_7d="null",
        mcap="null",
    )


def _pegs(cells: dict[str, str]) -> str:
    return _object(**{peg: _number(text) for peg, text in cells.items()})


def _number(text: str) -> str:
    return plain(Decimal(text)) if text else "null"


def _seconds(row: Row) -> int:
    return int(row.ts.timestamp())


def _object(**members: str) -> str:
    """An object of members that are JSON already: no number goes through a float."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"


def _array(items: Iterator[str]) -> bytes:
    return f"[{','.join(items)}]".encode()
