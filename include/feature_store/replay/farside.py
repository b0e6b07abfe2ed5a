"""Farside Investors: flows of the US spot ETFs by fund, as web pages. https://farside.co.uk/btc/

Real base: https://farside.co.uk. The folder has a file for each fund, and the total is their sum. What is faithful and
what is not is listed in docs/replay.md.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from email.utils import format_datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.catalog.calendars import is_open
from feature_store.replay.farside_page import CHALLENGE, ERROR, FUNDS, NOT_FOUND, Line, page
from feature_store.replay.folder import Folder, History
from feature_store.replay.mount import Mount, Now

SLUG = "farside"
RECENT = 14
"""Rows of the page of three weeks."""
PAGES: dict[str, tuple[str, int | None]] = {
    "/btc/": ("btc", RECENT),
    "/eth/": ("eth", RECENT),
    "/bitcoin-etf-flow-all-data/": ("btc", None),
    "/ethereum-etf-flow-all-data/": ("eth", None),
}
"""Path → whose flows, and of how many of the newest days; None for all."""
SINCE_MIDNIGHT = timedelta(hours=13, minutes=6)
"""How long a day lasts, in UTC, before its row is there, with `-` in each cell."""
TENTH = Decimal("0.1")
WHOLE = Decimal(1)
DAY = timedelta(days=1)

Flows = dict[str, dict[date, Decimal]]
"""What is known: flows in millions of USD by fund and day."""


class Table(NamedTuple):
    """All there is to show: the funds' tickers, the days, the summaries below them."""

    tickers: list[str]
    days: list[Line]
    summaries: list[Line]


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The four pages."""
    last: dict[str, tuple[object, Table]] = {}
    """By stream what its table was made of, and the table: between two changes it stays."""

    def table(stream: str, instant: datetime) -> Table:
        names = folder.names(SLUG, stream)
        held = {name: found for name in names if (found := folder.history(SLUG, stream, name)) and found.rows}
        begun = (instant - SINCE_MIDNIGHT).date()
        made_of = (begun, [(name, history, history.visible(instant)) for name, history in held.items()])
        if stream not in last or last[stream][0] != made_of:
            last[stream] = (made_of, _table(stream, held, begun, instant))
        return last[stream][1]

    def endpoint(stream: str, rows: int | None) -> Callable[[Request], Response]:
        def serve(_: Request) -> Response:
            instant = now().astimezone(UTC)
            tickers, days, summaries = table(stream, instant)
            text = page(stream, tickers, days if rows is None else days[-rows:], summaries)
            return _html(text, 200, {"Date": format_datetime(instant, usegmt=True)})

        return serve

    return [Route(path, endpoint(*of)) for path, of in PAGES.items()]


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """The page of a status: Farside's own for what is not there, else Cloudflare's, which guards it."""
    if status == 403:
        return _html(CHALLENGE, 403, {"Server": "cloudflare", "cf-mitigated": "challenge"})
    if status == 404:
        return _html(NOT_FOUND, 404, {})
    return _html(ERROR.format(status=status, message=message), status, {"Server": "cloudflare"})


def _table(stream: str, held: dict[str, History], begun: date, now: datetime) -> Table:
    days = _days(held, begun)
    told = {name: _told(history, now, days) for name, history in held.items()}
    shown = [name for name in _in_order(stream, told) if days and _span(held[name])[0] <= days[-1]]
    flows = {name: told[name] for name in shown}
    lines = [_line(flows, day) for day in days]
    return Table(shown, lines, _summaries(flows, lines))


def _days(held: dict[str, History], begun: date) -> list[date]:
    """The weekdays that have a row: from the first that any fund has, to the last, as far as they have begun."""
    ends = [day for history in held.values() for day in _span(history)]
    if not ends:
        return []
    first, last = min(ends), min(max(ends), begun)
    days = (first + DAY * at for at in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


def _span(history: History) -> tuple[date, date]:
    instants = [row.ts for row in history.rows]
    return min(instants).date(), max(instants).date()


def _told(history: History, now: datetime, days: list[date]) -> dict[date, Decimal]:
    """A fund's flows as they stand, on days of trade that have a row."""
    newest = {row.ts.date(): row.value for row in history.rows[: history.visible(now)]}
    return {
        day: Decimal(newest[day]).quantize(TENTH, ROUND_HALF_UP)
        for day in days
        if newest.get(day) and is_open("nyse", day)
    }


def _in_order(stream: str, funds: Flows) -> list[str]:
    """The page's order of funds; those that it does not know come last."""
    known = list(FUNDS[stream])
    return sorted(funds, key=lambda name: (known.index(name) if name in known else len(known), name))


def _line(flows: Flows, day: date) -> Line:
    cells = [of.get(day) for of in flows.values()]
    return Line(f"{day:%d %b %Y}", [*cells, sum((cell for cell in cells if cell is not None), Decimal("0.0"))])


def _summaries(flows: Flows, lines: list[Line]) -> list[Line]:
    """The rows below the days, over all days there ever were."""
    totals = [line.cells[-1] for line in lines if any(cell is not None for cell in line.cells[:-1])]
    columns = [list(of.values()) for of in flows.values()] + [[total for total in totals if total is not None]]

    def each(of: Callable[[list[Decimal]], Decimal], digit: Decimal) -> list[Decimal | None]:
        return [of(column).quantize(digit, ROUND_HALF_UP) if column else None for column in columns]

    return [
        Line("Total", each(lambda column: sum(column, Decimal(0)), WHOLE)),
        Line("Average", each(lambda column: sum(column, Decimal(0)) / len(column), TENTH)),
        Line("Maximum", each(max, TENTH)),
        Line("Minimum", each(min, TENTH)),
    ]


def _html(text: str, status: int, headers: dict[str, str]) -> Response:
    return Response(text, status, {"Content-Type": "text/html; charset=UTF-8", **headers})


MOUNT = Mount(slug=SLUG, series_of=lambda _: "Total", routes=routes, refuse=refuse)
