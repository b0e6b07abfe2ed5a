"""Blockchain.com: charts of the Bitcoin network. https://www.blockchain.com/explorer/api/charts_api

Real base: https://api.blockchain.info. What is faithful and what is not is listed in docs/replay.md.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay.folder import Folder, History, Row, plain
from feature_store.replay.mount import Mount, Now

SLUG = "blockchain"
MOST = 1500
"""Points in one answer, unless `sampled=false`."""
CHARTS = {
    "hash-rate": ("Hash Rate", "Hash Rate TH/s", "Estimated hashes a second of all miners, in tera."),
    "total-bitcoins": ("Total Circulating Bitcoin", "BTC", "Bitcoins that have been mined so far."),
    "market-price": ("Market Price (USD)", "USD", "Mean price of a bitcoin on the larger exchanges."),
}
"""Chart → name, unit and description."""
SPAN = re.compile(r"(\d{1,5})(minute|hour|day|week|month|year)s?")
LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
FIRST_EXPONENT, LAST_EXPONENT = Decimal("1e7"), Decimal("1e-3")
"""From the one on, and below the other, numbers have an exponent, as Java writes them."""
JSON, HTML = ({"Content-Type": kind} for kind in ("application/json", "text/html"))
PAGE = "<html>\n<head><title>{reason}</title></head>\n<body><center><h1>{reason}</h1></center></body>\n</html>\n"
PAGES = {
    403: "403 Forbidden",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Unavailable",
    504: "504 Gateway Timeout",
}
MESSAGES = {
    404: ("not-found-or-invalid-arg", "Item not found or argument invalid"),
    429: ("too-many-requests", "Too many requests"),
}


class BadRequestError(Exception):
    """A request with a parameter that cannot be read, or that replay does not serve."""


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """One endpoint for all charts."""

    def serve(request: Request) -> Response:
        instant, name = now(), request.path_params["name"]
        history = folder.history(SLUG, name.replace("-", "_"), name)
        if history is None:
            return refuse(request, 404, "")
        try:
            response = Response(chart(name, history, request.query_params, instant), 200, JSON)
        except BadRequestError as error:
            return refuse(request, 400, str(error))
        response.headers["Date"] = format_datetime(instant, usegmt=True)
        return response

    return [Route("/charts/{name}", serve)]


def chart(name: str, history: History, params: QueryParams, now: datetime) -> str:
    """`charts/{name}`: the points of a span of time, each as the chart has it now."""
    if params.get("format", "json") != "json" or "rollingAverage" in params:
        raise BadRequestError("Replay serves json without rollingAverage.")
    start, end = _span(params, now)
    newest = {row.ts: row for row in history.rows[: history.visible(now)]}
    rows = [newest[ts] for ts in sorted(newest) if start <= ts < end and newest[ts].value]
    if params.get("sampled", "true") != "false":
        rows = rows[:: -(-len(rows) // MOST) or 1]
    shown, unit, description = CHARTS.get(name, (name, history.rows[0].unit if history.rows else "", ""))
    head = {"status": "ok", "name": shown, "unit": unit, "period": "day", "description": description}
    return json.dumps(head, separators=(",", ":"))[:-1] + f',"values":[{",".join(map(_point, rows))}]}}'


def number(text: str) -> str:
    """A number in the spelling of a Java service."""
    value = Decimal(text)
    if not value or LAST_EXPONENT <= abs(value) < FIRST_EXPONENT:
        return plain(value)
    sign, digits, _ = value.normalize().as_tuple()
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{value.adjusted()}"


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """A page of the machines before it, or an error and a message: not a recorded form."""
    if status in PAGES:
        return Response(PAGE.format(reason=PAGES[status]), status, HTML)
    error, words = MESSAGES.get(status, ("bad-request", "Bad request"))
    body = json.dumps({"error": error, "message": message or words}, separators=(",", ":"))
    return Response(body, status, JSON)


def series_of(request: Request) -> str | None:
    """The chart, which is the last part of the path."""
    return str(request.scope["path"]).rstrip("/").rpartition("/")[2]


MOUNT = Mount(SLUG, series_of, routes, refuse)


def _span(params: QueryParams, now: datetime) -> tuple[datetime, datetime]:
    """From `start` as long as `timespan` says; without a start, the span that ends now."""
    span, start = params.get("timespan", "1year"), params.get("start")
    length = None if span == "all" else _length(span)
    if start is not None:
        try:
            begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
        except ValueError:
            raise BadRequestError(f"start {start!r} is no date.") from None
        return begin, begin + length if length else datetime.max.replace(tzinfo=UTC)
    return now - length if length else datetime.min.replace(tzinfo=UTC), now


def _length(span: str) -> timedelta:
    found = SPAN.fullmatch(span)
    if found is None:
        raise BadRequestError(f"timespan {span!r} is neither all nor a number of days, weeks or years.")
    return int(found[1]) * LENGTHS[found[2]]


def _point(row: Row) -> str:
    return f'{{"x":{int(row.ts.timestamp())},"y":{number(row.value)}}}'
