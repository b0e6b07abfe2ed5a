"""FRED and ALFRED: US macro series with every vintage. https://fred.stlouisfed.org/docs/api/fred/

FRED numbers its history by vintage: the US Central calendar date on which a value appeared. Which vintages exist is
asked first, then their values in ranges of at most 1,000 (FRED refuses 2,000), each range overlapping the one before
by a vintage. FRED clips real-time periods to the range asked for, so a row that starts with the range is a repeat.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from feature_store.catalog.contracts import SeriesSpec
from feature_store.catalog.release import scheduled_on
from feature_store.errors import Malformed
from feature_store.sources.contract import Payload, Row, Window, check_fields
from feature_store.sources.http import Http

SECRET_PARAMS = {"api_key": "FRED_API_KEY"}

ZONE = "America/Chicago"
BEGINNING = "1776-07-04"
FOREVER = "9999-12-31"
VINTAGES_A_CALL = 1000
NOT_KNOWN = "."

_STEERING = {"series": "seriess", "series/vintagedates": "vintage_dates"}
_OBSERVATION = frozenset({"realtime_start", "realtime_end", "date", "value"})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """Ask for the stated units, the vintage dates, then the values of the vintages in the window."""
    last_day = settled_day(series, window.until).isoformat()
    described = http.get("series", _of(series, BEGINNING, last_day))
    yield described
    units = [[entry["realtime_start"], entry["units"]] for entry in _member(described, "seriess")]

    vintages: list[str] = []
    while True:
        page = http.get(
            "series/vintagedates", {**_of(series, BEGINNING, last_day), "offset": str(len(vintages))}
        )
        yield page
        found = _member(page, "vintage_dates")
        vintages += found
        if not found or len(vintages) >= _member(page, "count"):
            break
    if not vintages:
        return
    context = {"first_vintage": vintages[0], "units": units}
    for start, end in _ranges(vintages, window):
        yield from _observations(http, series, start, end, context)


def parse(payload: Payload) -> Iterator[Row]:
    """Rows of an observations answer; the other endpoints only steer fetching and give none, if they can be read."""
    if payload.endpoint != "series/observations":
        _member(payload, _STEERING[payload.endpoint])
        return
    for row in _member(payload, "observations"):
        check_fields(payload, row, _OBSERVATION)
        vintage = date.fromisoformat(row["realtime_start"])
        observed = date.fromisoformat(row["date"])
        yield Row(
            series=payload.params["series_id"],
            ts=datetime(observed.year, observed.month, observed.day, tzinfo=UTC),
            values={"value": _number(row["value"])},
            unit=_unit_on(payload.context["units"], row["realtime_start"]),
            vintage=vintage,
            is_censored=row["realtime_start"] <= payload.context["first_vintage"],
            is_repeat=row["realtime_start"] == payload.params["realtime_start"],
        )


def settled_day(series: SeriesSpec, now: datetime) -> date:
    """The newest vintage date whose values are available for certain at `now`.

    Today counts once the instant of today's scheduled release has passed; on other days a vintage counts when its
    day is over. So what a vintage's available_at is never depends on when it was asked for.
    """
    today = now.astimezone(ZoneInfo(ZONE)).date()
    scheduled = scheduled_on(series, today, ZONE)
    return today if scheduled is not None and scheduled <= now else today - timedelta(days=1)


def _of(series: SeriesSpec, start: str, end: str) -> dict[str, str]:
    return {"series_id": series.name, "file_type": "json", "realtime_start": start, "realtime_end": end}


def _ranges(vintages: list[str], window: Window) -> Iterator[tuple[str, str]]:
    """Real-time ranges that cover the window's vintages; the archive's very first range starts at its beginning."""
    since = window.since.astimezone(ZoneInfo(ZONE)).date().isoformat() if window.since else BEGINNING
    wanted = [index for index, vintage in enumerate(vintages) if vintage >= since]
    if not wanted:
        return
    first = max(wanted[0] - 1, 0)
    for start in range(first, max(len(vintages) - 1, 1), VINTAGES_A_CALL - 1):
        end = min(start + VINTAGES_A_CALL, len(vintages)) - 1
        yield (BEGINNING if wanted[0] == start == 0 else vintages[start]), vintages[end]


def _observations(
    http: Http, series: SeriesSpec, start: str, end: str, context: Mapping[str, Any]
) -> Iterator[Payload]:
    received = 0
    while True:
        page = http.get(
            "series/observations", {**_of(series, start, end), "offset": str(received)}, context
        )
        yield page
        rows = _member(page, "observations")
        received += len(rows)
        if not rows or received >= _member(page, "count"):
            return


def _member(payload: Payload, name: str) -> Any:
    body = payload.json()
    if not isinstance(body, dict) or name not in body:
        keys = sorted(body) if isinstance(body, dict) else type(body).__name__
        raise Malformed(f"{payload.url}: the answer has no {name!r}; it has {keys}", payload)
    return body[name]


def _number(text: str) -> Decimal | None:
    if text == NOT_KNOWN:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Malformed(f"FRED's value {text!r} is neither a number nor {NOT_KNOWN!r}") from None
    if not number.is_finite():
        raise Malformed(f"FRED's value {text!r} is not finite")
    return number


def _unit_on(units: list[list[str]], vintage: str) -> str:
    """The unit stated on a vintage date; before the first statement, the first one holds."""
    held = [unit for start, unit in units if start <= vintage]
    return held[-1] if held else units[0][1]

