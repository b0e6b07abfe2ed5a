"""FRED and ALFRED: US macro series with every vintage. https://fred.stlouisfed.org/docs/api/fred/

FRED numbers its history by vintage: the US Central calendar date on which a value appeared. Which vintages exist is
asked first, then their values in ranges of at most 1,000 (FRED refuses 2,000), each range overlapping the one before
by a vintage. FRED clips real-time periods to the range asked for, so a row that starts with the range is a repeat.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from feature_store.catalog.contracts import SeriesSpec
from feature_store.catalog.release import scheduled_on
from feature_store.errors import Refused
from feature_store.sources.contract import Payload, Row, Window, check_fields
from feature_store.sources.fred_words import member, number, unit_on, units_of
from feature_store.sources.http import Http

SECRET_PARAMS = {"api_key": "FRED_API_KEY"}

ZONE = "America/Chicago"
BEGINNING = "1776-07-04"
FOREVER = "9999-12-31"
VINTAGES_A_CALL = 1000
NO_VINTAGES = "does not exist in ALFRED"

_LISTS = {
    "series": "seriess",
    "series/vintagedates": "vintage_dates",
    "series/observations": "observations",
}
_OBSERVATION = frozenset({"realtime_start", "realtime_end", "date", "value"})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """Ask for the vintage dates, the stated units, then the values of the vintages in the window.

    Of a few series (S&P's, for licence reasons) FRED keeps no vintages and refuses every real-time range: of those it
    is asked for the values of today.
    """
    last_day = settled_day(series, window.until).isoformat()
    vintages: list[str] = []
    try:
        for page in _pages(http, "series/vintagedates", _of(series, BEGINNING, last_day)):
            yield page
            vintages += member(page, "vintage_dates")
    except Refused as error:
        if NO_VINTAGES not in str(error):
            raise
        yield from _today(http, series)
        return
    ranges = list(_ranges(vintages, window))
    if not ranges:
        return
    described = http.get("series", _of(series, BEGINNING, last_day))
    yield described
    context = {"first_vintage": vintages[0], "units": units_of(described)}
    for start, end in ranges:
        yield from _pages(http, "series/observations", _of(series, start, end), context)


def parse(payload: Payload) -> Iterator[Row]:
    """Rows of an observations answer; the other endpoints only steer fetching and give none, if they can be read."""
    listed = member(payload, _LISTS[payload.endpoint])
    if payload.endpoint != "series/observations":
        return
    first_vintage = payload.context["first_vintage"]
    for row in listed:
        check_fields(payload, row, _OBSERVATION)
        observed, start = date.fromisoformat(row["date"]), row["realtime_start"]
        yield Row(
            series=payload.params["series_id"],
            ts=datetime(observed.year, observed.month, observed.day, tzinfo=UTC),
            values={"value": number(row["value"])},
            unit=unit_on(payload.context["units"], start),
            vintage=date.fromisoformat(start) if first_vintage else None,
            is_censored=first_vintage is not None and start <= first_vintage,
            is_repeat=start == payload.params.get("realtime_start"),
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


def _today(http: Http, series: SeriesSpec) -> Iterator[Payload]:
    asked = {"series_id": series.name, "file_type": "json"}
    described = http.get("series", asked)
    yield described
    yield from _pages(http, "series/observations", asked, {"first_vintage": None, "units": units_of(described)})


def _pages(
    http: Http, endpoint: str, params: Mapping[str, str], context: Mapping[str, Any] | None = None
) -> Iterator[Payload]:
    """All pages of a list: `count` says how many rows there are, `offset` where to go on."""
    received = 0
    while True:
        page = http.get(endpoint, {**params, "offset": str(received)}, context)
        yield page
        rows = member(page, _LISTS[endpoint])
        received += len(rows)
        if not rows or received >= member(page, "count"):
            return
