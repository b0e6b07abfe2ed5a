"""FRED and ALFRED. https://fred.stlouisfed.org/docs/api/fred/

Real base: https://api.stlouisfed.org/fred. What is faithful and what is not is listed in docs/replay.md.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from itertools import islice
from typing import Any
from xml.sax.saxutils import quoteattr

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from feature_store.replay import fred_series
from feature_store.replay.archive import OPEN_END, Archive, Interval, archive, central_date
from feature_store.replay.folder import Folder
from feature_store.replay.mount import Mount, Now, from_query

SLUG, STREAM = "fred", "observations"
EARLIEST = date(1776, 7, 4)
FIRST_OBSERVATION = date(1600, 1, 1)
MAX_VINTAGES = 2000
MAX_OBSERVATIONS, MAX_VINTAGE_DATES = 100_000, 10_000
ROLLING_YEARS = {"SP500": 10}
"""Series licensed for a moving window only: what is older is not served in any vintage."""

KEY = re.compile(r"[a-z0-9]{32}")
SERIES_ID = re.compile(r"[A-Za-z0-9_]{1,25}")
READ_KEY = "Read https://fred.stlouisfed.org/docs/api/api_key.html for more information."
NOT_REGISTERED = f"The value for variable api_key is not registered.  {READ_KEY}"
NOT_IN_ALFRED = (
    "The series does not exist in ALFRED but may exist in FRED.  Try setting realtime_start and "
    "realtime_end to today's date or removing the realtime_start and realtime_end variables."
)
REASONS = {
    400: "Bad Request",
    404: "Not Found",
    423: "Locked",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class BadRequestError(Exception):
    """A request that FRED answers with 400."""


@dataclass(frozen=True)
class Envelope:
    """An answer before it is JSON or XML: attributes, then one list of rows."""

    head: dict[str, Any]
    rows_name: str
    row_name: str
    rows: Iterable[Any]
    modified: datetime


@dataclass(frozen=True)
class Asked:
    """One validated request: the series as known now, and the parameters."""

    params: QueryParams
    series: str
    known: Archive
    now: datetime

    @property
    def today(self) -> date:
        """The date in St. Louis."""
        return central_date(self.now)

    def realtime(self, default: tuple[date, date]) -> tuple[date, date]:
        """The real-time period; refused where the archive does not reach."""
        start = self.day("realtime_start", default[0])
        end = self.day("realtime_end", default[1])
        for name, day in (("realtime_start", start), ("realtime_end", end)):
            if day > self.today and day != OPEN_END:
                raise BadRequestError(f"Variable {name} can not be after today's date ({self.today}).")
        if start > end:
            raise BadRequestError("Variable realtime_start can not be after variable realtime_end.")
        if end < self.known.vintages[0]:
            raise BadRequestError(NOT_IN_ALFRED)
        return start, end

    def day(self, name: str, default: date) -> date:
        """A date parameter."""
        return _day(name, self.params[name]) if name in self.params else default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number parameter."""
        text = self.params.get(name, str(default))
        if not text.isdecimal() or not low <= int(text) <= high:
            raise BadRequestError(f"Variable {name} is not between {low} and {high}.")
        return int(text)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """A parameter with few values."""
        text = self.params.get(name, default)
        if text not in allowed:
            raise BadRequestError(f"Variable {name} is not one of the following: {', '.join(allowed)}.")
        return text


def routes(folder: Folder, now: Now) -> list[BaseRoute]:
    """The three endpoints that a client of observations needs."""

    def endpoint(answer: Callable[[Asked], Envelope]) -> Callable[[Request], Response]:
        def serve(request: Request) -> Response:
            try:
                instant = now()
                return _render(request, answer(_ask(folder, request.query_params, instant)), instant)
            except BadRequestError as refusal:
                return refuse(request, 400, str(refusal))

        return serve

    return [
        Route("/series", endpoint(series)),
        Route("/series/observations", endpoint(observations)),
        Route("/series/vintagedates", endpoint(vintagedates)),
    ]


def observations(asked: Asked) -> Envelope:
    """`series/observations`: the values, by vintage where asked."""
    _refuse_transformations(asked)
    output_type = asked.choice("output_type", "1", ("1", "2", "3", "4"))
    start, end, rows = _rows(asked, output_type)
    first, last = asked.day("observation_start", FIRST_OBSERVATION), asked.day("observation_end", OPEN_END)
    if first > last:
        raise BadRequestError("Variable observation_start can not be after variable observation_end.")
    order = asked.choice("sort_order", "asc", ("asc", "desc"))
    found = [row for row in rows if first <= row.observed <= last]
    found.sort(key=lambda row: (row.observed, row.start), reverse=order == "desc")
    offset, limit = _page(asked, MAX_OBSERVATIONS)
    head = {
        "realtime_start": str(start),
        "realtime_end": str(end),
        "observation_start": str(first),
        "observation_end": str(last),
        "units": "lin",
        "output_type": int(output_type),
        "file_type": asked.params.get("file_type", "xml"),
        "order_by": "observation_date",
        "sort_order": order,
        "count": len(found),
        "offset": offset,
        "limit": limit,
    }
    page = map(_observation, islice(found, offset, offset + limit))
    return Envelope(head, "observations", "observation", page, asked.known.updated)


def vintagedates(asked: Asked) -> Envelope:
    """`series/vintagedates`: the days on which the series changed."""
    start, end = asked.realtime((EARLIEST, OPEN_END))
    order = asked.choice("sort_order", "asc", ("asc", "desc"))
    found = asked.known.vintages_within(start, end)
    if order == "desc":
        found.reverse()
    offset, limit = _page(asked, MAX_VINTAGE_DATES)
    head = {
        "realtime_start": str(start),
        "realtime_end": str(end),
        "order_by": "vintage_date",
        "sort_order": order,
        "count": len(found),
        "offset": offset,
        "limit": limit,
    }
    # Unlike the other two, this answer is never older than the request.
    return Envelope(head, "vintage_dates", "vintage_date", map(str, found[offset : offset + limit]), asked.now)


def series(asked: Asked) -> Envelope:
    """`series`: what the series is, once per real-time period in which that was the same."""
    start, end = asked.realtime(_unparameterised(asked))
    rows = [
        fred_series.metadata(asked.series, asked.known, unit, since, until)
        for since, until, unit in asked.known.unit_periods(start, end)
    ]
    head = {"realtime_start": str(start), "realtime_end": str(end)}
    return Envelope(head, "seriess", "series", rows, asked.known.updated)


def refuse(request: Request, status: int, message: str, retry_after: int | None = None) -> Response:
    """FRED's error body. JSON or not, its content type is that of XML."""
    reason = REASONS.get(status, "Error")
    text = f"{reason}.  {message}" if message else reason
    if request.query_params.get("file_type") == "json":
        body = dumps({"error_code": status, "error_message": text})
    else:
        body = f'<?xml version="1.0" encoding="utf-8" ?>\n<error code="{status}" message={quoteattr(text)}/>\n'
    return Response(body, status, {"Content-Type": "text/xml;charset=utf-8", "Server": "Apache"})


def dumps(content: object) -> str:
    """JSON as FRED writes it: compact, with every slash escaped."""
    return json.dumps(content, separators=(",", ":")).replace("/", "\\/")


MOUNT = Mount(SLUG, from_query("series_id"), routes, refuse, NOT_REGISTERED)


def _ask(folder: Folder, params: QueryParams, now: datetime) -> Asked:
    key = params.get("api_key")
    if not key:
        raise BadRequestError("Variable api_key has not been set.")
    if not KEY.fullmatch(key):
        raise BadRequestError(
            f"The value for variable api_key is not a 32 character alpha-numeric lower-case string.  {READ_KEY}"
        )
    if params.get("file_type", "xml") not in {"xml", "json"}:
        raise BadRequestError("Bad value for file_type: replay serves xml and json.")
    series_id = params.get("series_id")
    if not series_id:
        raise BadRequestError("Variable series_id has not been set.")
    if not SERIES_ID.fullmatch(series_id):
        raise BadRequestError(
            "Invalid value for variable series_id.  Series IDs should be 25 or less alphanumeric characters."
        )
    known = _known(folder, series_id, now)
    if known is None:
        raise BadRequestError("The series does not exist.")
    return Asked(params, series_id, known, now)


def _known(folder: Folder, series_id: str, now: datetime) -> Archive | None:
    history = folder.history(SLUG, STREAM, series_id)
    visible = history.visible(now) if history else 0
    if history is None or not visible:
        return None
    years = ROLLING_YEARS.get(series_id)
    known = archive(history, visible, _years_before(central_date(now), years) if years else date.min)
    return known if known.vintages else None


def _rows(asked: Asked, output_type: str) -> tuple[date, date, Iterator[Interval]]:
    if output_type in {"2", "3"}:
        raise BadRequestError(f"output_type {output_type} is not supported by replay; 1 and 4 are.")
    if "vintage_dates" in asked.params:
        days = _vintage_dates(asked)
        return days[0], days[-1], asked.known.states(days)
    start, end = asked.realtime(_unparameterised(asked))
    count = len(asked.known.vintages_within(start, end))
    if count > MAX_VINTAGES:
        raise BadRequestError(
            f"There are {count} vintage dates in the specified real-time period: {start} to {end}.  "
            f"This exceeds the maximum number of vintage dates allowed for this file type ({MAX_VINTAGES})."
        )
    if output_type == "1":
        return start, end, asked.known.intervals(start, end)
    if not count:
        raise BadRequestError(f"No vintage dates exist for the specified real-time period: {start} to {end}.")
    return start, end, asked.known.first_releases(start, end)


def _vintage_dates(asked: Asked) -> list[date]:
    if "realtime_start" in asked.params or "realtime_end" in asked.params:
        raise BadRequestError("Variable vintage_dates can not be used together with a real-time period.")
    days = sorted({_day("vintage_dates", text) for text in asked.params["vintage_dates"].split(",")})
    if len(days) > MAX_VINTAGES:
        raise BadRequestError(f"There are {len(days)} vintage dates; the maximum is {MAX_VINTAGES}.")
    if days[0] < asked.known.vintages[0]:
        raise BadRequestError(NOT_IN_ALFRED)
    if days[-1] > asked.today:
        raise BadRequestError(f"Variable vintage_dates can not be after today's date ({asked.today}).")
    return days


def _unparameterised(asked: Asked) -> tuple[date, date]:
    """Documented as today, recorded as the day of the series' last change; a trap worth keeping."""
    day = central_date(asked.known.updated)
    return day, day


def _refuse_transformations(asked: Asked) -> None:
    if asked.params.get("units", "lin") != "lin":
        raise BadRequestError("units other than lin are not supported by replay.")
    for name in ("frequency", "aggregation_method"):
        if name in asked.params:
            raise BadRequestError(f"{name} is not supported by replay.")


def _page(asked: Asked, most: int) -> tuple[int, int]:
    return asked.number("offset", 0, 0, 10**9), asked.number("limit", most, 1, most)


def _day(name: str, text: str) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            pass
        else:
            if day >= (FIRST_OBSERVATION if name.startswith("observation") else EARLIEST):
                return day
    raise BadRequestError(f"Variable {name} is not a valid YYYY-MM-DD date.")


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def _observation(row: Interval) -> dict[str, str]:
    return {
        "realtime_start": str(row.start),
        "realtime_end": str(row.end),
        "date": str(row.observed),
        "value": row.value,
    }


def _render(request: Request, envelope: Envelope, now: datetime) -> Response:
    if request.query_params.get("file_type") == "json":
        text = dumps({**envelope.head, envelope.rows_name: list(envelope.rows)})
        content_type = "application/json; charset=UTF-8"
    else:
        text = _xml(envelope)
        content_type = "text/xml; charset=UTF-8"
    at = format_datetime(now.astimezone(UTC).replace(microsecond=0), usegmt=True)
    headers = {
        "Cache-Control": "max-age=0, no-cache",
        "Connection": "keep-alive",
        "Content-Type": content_type,
        "Date": at,
        "Expires": at,
        "Last-Modified": format_datetime(envelope.modified.astimezone(UTC).replace(microsecond=0), usegmt=True),
        "Pragma": "no-cache",
        "Server": "Apache",
        "Strict-Transport-Security": "max-age=86400",
        "Vary": "Accept-Encoding",
    }
    body = text.encode()
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)


def _xml(envelope: Envelope) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8" ?>', f"<{envelope.rows_name}{_attributes(envelope.head)}>"]
    for row in envelope.rows:
        if isinstance(row, dict):
            lines.append(f"  <{envelope.row_name}{_attributes(row)}/>")
        else:
            lines.append(f"  <{envelope.row_name}>{row}</{envelope.row_name}>")
    return "\n".join([*lines, f"</{envelope.rows_name}>\n"])


def _attributes(values: dict[str, Any]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())
