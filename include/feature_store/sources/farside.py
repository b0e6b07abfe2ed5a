"""Farside Investors: daily net flows of the US spot ETFs by fund, read from a web page. https://farside.co.uk/btc/

One table, a row for each trading day, a column for each fund and one for their total, in millions of USD. `-` is not
known: not reported yet, a holiday, or a fund that is not there. The page of three weeks is the same table, cut off.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from lxml import html

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused
from feature_store.sources.contract import Payload, Row, Window
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}

TOTAL = "Total"
"""The series, and the head of the column and of the row that have the sums."""
THREE_WEEKS = {"btc": "btc/", "eth": "eth/"}
EVERYTHING = {"btc": "bitcoin-etf-flow-all-data/", "eth": "ethereum-etf-flow-all-data/"}

CHALLENGE = b"Just a moment..."
NOT_KNOWN = "-"
TICKER = re.compile(r"[A-Z][A-Z0-9]{1,5}")
NUMBER = re.compile(r"(\()?([0-9][0-9,]*(?:\.[0-9]+)?)(?(1)\))\*?")
"""`1,119.9`, or `(44.5)`, which is negative; each with the asterisk of a footnote or without."""
ROUNDING = Decimal("0.15")
"""How far a day's total may lie from the sum of its funds; all are rounded to a tenth of a million."""
SESSIONS_UNTIL_CLOSED = 5
"""A fund that has no number in so many of the newest sessions is closed: none is as late as that."""


class Day(NamedTuple):
    """A row of the table, its flows in the order of the funds; None is not known. Where no flow is, no total is."""

    ts: datetime
    flows: Sequence[Decimal | None]
    total: Decimal | None


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """The page of three weeks, and that of everything where the window begins before those or has no beginning."""
    if window.since is not None:
        recent = _get(http, THREE_WEEKS[series.stream])
        yield recent
        # A day is reported on the next morning.
        if min(day.ts for day in _table(recent)[1]) <= window.since - timedelta(days=2):
            return
    yield _get(http, EVERYTHING[series.stream])


def parse(payload: Payload) -> Iterator[Row]:
    """A row for each day of the page, partial where a fund that is alive is not known; Malformed where a total is not
    the sum of its funds."""
    tickers, days = _table(payload)
    lives = [_life(days, fund) for fund in range(len(tickers))]
    for at, day in enumerate(days):
        funds = _json(dict(zip(tickers, day.flows, strict=True)))
        lacks = any(flow is None and at in life for flow, life in zip(day.flows, lives, strict=True))
        yield Row(TOTAL, day.ts, {"value": day.total, "funds": funds, "is_partial": lacks and day.total is not None})


def _get(http: Http, endpoint: str) -> Payload:
    page = http.get(endpoint, {})
    if CHALLENGE in page.content:
        raise Refused(f"{page.url} answered {page.status} with a challenge for browsers, and no flows", page)
    return page


def _life(days: Sequence[Day], fund: int) -> range:
    """The rows in which the fund's number is due: from its first one on, and up to its last one if it is closed."""
    told = [at for at, day in enumerate(days) if day.total is not None]
    numbers = [at for at in told if days[at].flows[fund] is not None]
    if not numbers:
        return range(0)
    is_closed = len(told) - told.index(numbers[-1]) > SESSIONS_UNTIL_CLOSED
    return range(numbers[0], numbers[-1] + 1 if is_closed else len(days))


def _table(payload: Payload) -> tuple[list[str], list[Day]]:
    """The funds' tickers and the days, oldest first, every total checked."""
    rows = [(_date(payload, cells[0]), cells) for cells in _rows(payload)]
    tickers = _tickers(payload, [cells for ts, cells in rows if ts is None])
    days: list[Day] = []
    for ts, (label, *cells) in rows:
        if ts is None and label != TOTAL:
            continue
        if len(cells) != len(tickers) + 1:
            raise Malformed(f"{payload.url}: {label} has {len(cells)} numbers, with {len(tickers)} funds", payload)
        *flows, total = (_number(payload, cell) for cell in cells)
        # The row of totals is in whole millions, each rounded for itself.
        tolerance = ROUNDING if ts else len(cells)
        if total is not None and abs(total - sum(flow or 0 for flow in flows)) > tolerance:
            raise Malformed(f"{payload.url}: the total of {label} is {total} and not the sum of {cells[:-1]}", payload)
        if ts is not None:
            # A row of nothing but `-`, still to come or a holiday, has a total of 0.0: the sum of nothing.
            days.append(Day(ts, flows, None if set(flows) == {None} else total))
    if (different := len({day.ts for day in days})) < max(len(days), 1):
        raise Malformed(f"{payload.url}: the table has {len(days)} days, of which {different} are different", payload)
    return tickers, sorted(days, key=lambda day: day.ts)


def _rows(payload: Payload) -> list[list[str]]:
    """The texts of the table's cells."""
    page = html.document_fromstring(b"<html>" + payload.content, html.HTMLParser(encoding="utf-8"))  # b"" is an error
    tables = page.xpath("//table[contains(concat(' ', @class, ' '), ' etf ')]")
    if len(tables) != 1 or b"</html>" not in payload.content:
        said = f"one table of flows was due, {len(tables)} are there; the title is {page.findtext('.//title')!r}"
        raise Malformed(f"{payload.url}: the page is cut off or another one: {said}", payload)
    rows = ([" ".join(cell.text_content().split()) for cell in row.iter("th", "td")] for row in tables[0].iter("tr"))
    return [cells for cells in rows if cells]


def _tickers(payload: Payload, heads: Sequence[Sequence[str]]) -> list[str]:
    """What each column is, by the text of its head and never by its place; the total has no ticker, and is the last."""
    named = max(heads, key=lambda cells: sum(map(bool, map(TICKER.fullmatch, cells))), default=[])
    *tickers, last = named[1:] or [""]
    is_named = all(map(TICKER.fullmatch, tickers)) and len(set(tickers)) == len(tickers) > 0
    if not is_named or last not in {"", TOTAL} or all(cells[-1] != TOTAL for cells in heads):
        raise Malformed(f"{payload.url}: the columns are not funds and their total: {[*tickers, last]}", payload)
    return tickers


def _date(payload: Payload, label: str) -> datetime | None:
    """The day of a row; None for the header's rows, and those of fees, seeds, totals, averages and extremes."""
    try:
        return datetime.strptime(label, "%d %b %Y").replace(tzinfo=UTC) if any(map(str.isdigit, label)) else None
    except ValueError:
        raise Malformed(f"{payload.url}: {label!r} is no day such as '23 Jul 2026'", payload) from None


def _number(payload: Payload, text: str) -> Decimal | None:
    if text == NOT_KNOWN:
        return None
    found = NUMBER.fullmatch(text)
    if found is None:
        raise Malformed(f"{payload.url}: {text!r} is neither a number nor {NOT_KNOWN!r}", payload)
    number = Decimal(found[2].replace(",", ""))
    return -number if found[1] else number


def _json(flows: dict[str, Decimal | None]) -> str:
    cells = (f'"{fund}": {"null" if flow is None else flow}' for fund, flow in sorted(flows.items()))
    return "{" + ", ".join(cells) + "}"
