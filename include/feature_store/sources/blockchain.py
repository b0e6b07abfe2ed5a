"""Blockchain.com: charts of the Bitcoin network by day. https://www.blockchain.com/explorer/api/charts_api

No key. Unasked, a chart is sampled to some 1,500 points, and averaged on request: we ask for every point as it is. The
newest point may be of a running day and is estimated anew for some days. Days may be absent, which is "not known". An
answer without values is no quiet day, but a chart that is gone: Malformed.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed
from feature_store.sources.contract import Payload, Row, Window, check_fields
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}

UNITS = {"hash-rate": "TH/s", "market-price": "USD"}
"""Chart → what its stated unit ends with ("Hash Rate TH/s"). Of total-bitcoins no answer is known to hold it against;
its plausible range tells satoshis from bitcoins."""
BY_BLOCK = "total-bitcoins"
"""The chart that may be dated by blocks, whose times are no midnights; the others have a point a day."""
PRICE = "market-price"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST_MILLISECONDS = 10**11

_CHART = frozenset({"status", "name", "unit", "period", "values"})
_DESCRIPTION = "description"
_POINT = frozenset({"x", "y"})


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """One answer: the days from the window's first to its last, or all of them."""
    span = {"timespan": "all"}
    if window.since is not None:
        start = window.since.astimezone(UTC).date()
        days = (window.until.astimezone(UTC).date() - start).days + 1
        span = {"start": start.isoformat(), "timespan": f"{days}days"}
    yield http.get(f"charts/{series.name}", {**span, "sampled": "false", "format": "json"}, {"series": series.name})


def parse(payload: Payload) -> Iterator[Row]:
    """A row a day; Malformed where the answer is no daily chart, sampled, or empty."""
    chart = payload.context["series"]
    points = [_point(payload, point) for point in _values(payload, chart)]
    by_day: dict[date, Decimal | None] = {}
    for at, value in points:  # of several points of a day the last counts
        by_day[at.date()] = value
    _check_times(payload, chart, [at for at, _ in points], list(by_day))
    for day, value in by_day.items():
        # A price of 0 stands for the years before there was a market.
        known = None if chart == PRICE and value == 0 else value
        yield Row(chart, datetime(day.year, day.month, day.day, tzinfo=UTC), {"value": known})


def _values(payload: Payload, chart: str) -> list[Any]:
    """The points of an answer that is what was asked for."""
    content = payload.json()
    if not isinstance(content, dict):
        raise Malformed(f"{payload.url} answered no object but {str(content)[:200]!r}", payload)
    if "metric1" in content:
        raise Malformed(
            f"{payload.url} answered in the form of the site's download: averages, in milliseconds", payload
        )
    if content.get("status", "ok") != "ok":
        raise Malformed(f"{payload.url} answered the status {content['status']!r}: {str(content)[:200]}", payload)
    check_fields(payload, {name: value for name, value in content.items() if name != _DESCRIPTION}, _CHART)
    if content["period"] != "day" and chart != BY_BLOCK:
        raise Malformed(f"{payload.url} answered by {content['period']!r} instead of by day", payload)
    if not str(content["unit"]).endswith(UNITS.get(chart, "")):
        raise Malformed(f"{payload.url} states the unit {content['unit']!r} instead of {UNITS[chart]}", payload)
    values = content["values"]
    if not isinstance(values, list) or not values:
        raise Malformed(f"{payload.url} has no values but {str(values)[:100]!r}: is the chart gone?", payload)
    for point in values:
        if not isinstance(point, dict):
            raise Malformed(f"{payload.url}: a point is no object but {str(point)[:100]!r}", payload)
        if not point.keys() >= _POINT:
            check_fields(payload, point, _POINT)
    check_fields(payload, {name: None for point in values for name in point}, _POINT)  # one warning for them all
    return values


def _point(payload: Payload, point: dict[str, Any]) -> tuple[datetime, Decimal | None]:
    seconds, value = point["x"], point["y"]
    if type(seconds) is not int or not 0 < seconds < FIRST_MILLISECONDS:
        raise Malformed(f"{payload.url}: x is {seconds!r}; seconds since 1970 were due", payload)
    if value is not None and type(value) is not int and not isinstance(value, Decimal):
        raise Malformed(f"{payload.url}: y is {value!r}, which is no number", payload)
    return EPOCH + timedelta(seconds=seconds), None if value is None else Decimal(value)


def _check_times(payload: Payload, chart: str, instants: list[datetime], days: list[date]) -> None:
    """A daily chart has midnights, and most of its steps are a day: some days may be absent, most are when sampled."""
    if chart != BY_BLOCK and len(days) < len(instants):
        raise Malformed(f"{payload.url}: a day has more than one point", payload)
    if chart != BY_BLOCK and any((at - EPOCH) % DAY for at in instants):
        raise Malformed(f"{payload.url}: a point of a daily chart is no midnight", payload)
    steps = [later - earlier for earlier, later in pairwise(instants)]
    if steps and min(steps) <= timedelta():
        raise Malformed(f"{payload.url}: the points are not in the order of time", payload)
    between = [later - earlier for earlier, later in pairwise(days)]
    if 2 * between.count(DAY) < len(between):
        raise Malformed(f"{payload.url}: most points are {max(between).days} days apart: is it sampled?", payload)
