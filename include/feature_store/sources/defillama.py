"""DefiLlama: stablecoins by peg, value locked on a chain and in protocols. https://api-docs.defillama.com/

No key. Every call answers the whole history, which is rewritten in place now and then: each answer gives all of its
rows, and loading tells which of them are news. So an empty list is no quiet day: it is how DefiLlama answers for a
chain that it does not (or no longer) know by that name, and Malformed, as are bodies that are no list.

A day is not the same in the two histories. A stablecoin row of D covers D: while D runs it is an estimate. A TVL row
of D is a snapshot at the start of D; the newest one measures another instant, and its `ts` is the one it states.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed
from feature_store.sources.contract import Payload, Row, Window, check_fields, is_count_in_text
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}

ENDPOINTS = {
    "stablecoincharts": "stablecoincharts/{series}",
    "protocols": "protocols",
    "historical_chain_tvl": "v2/historicalChainTvl/{series}",
}
"""Stream → endpoint. Chains are part of the path, some with a space (`OP Mainnet`)."""
DOLLARS = "peggedUSD"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MILLISECONDS = 10**11
"""Seconds have at most 11 digits for three thousand years; more are another unit."""

_CHART = frozenset({"date", "totalCirculating", "totalCirculatingUSD"})
_CHART_AT_TIMES = frozenset({"totalUnreleased", "totalMintedUSD", "totalBridgedToUSD"})
"""Parts that only some rows of one answer have."""
_TVL = frozenset({"date", "tvl"})
_PROTOCOL = frozenset({"category"})
"""A protocol without a tvl is counted as unknown."""


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """One answer: everything there is, whatever the window."""
    endpoint = ENDPOINTS[series.stream].format(series=quote(series.name))
    yield http.get(endpoint, {}, {"stream": series.stream, "series": series.name})


def parse(payload: Payload) -> Iterator[Row]:
    """Rows of one answer; Malformed where it is none, or empty."""
    content = payload.json()
    if not isinstance(content, list):
        raise Malformed(f"{payload.url} answered no list but {str(content)[:200]!r}", payload)
    if not content:
        raise Malformed(f"{payload.url} answered an empty list: is {payload.context['series']!r} renamed?", payload)
    for row in content:
        if not isinstance(row, dict):
            raise Malformed(f"{payload.url}: a row is no object but {str(row)[:200]!r}", payload)
    readers: dict[str, Callable[[Payload, list[dict[str, Any]]], Iterator[Row]]] = {
        "stablecoincharts": _stablecoins,
        "protocols": _protocols,
        "historical_chain_tvl": _tvl,
    }
    yield from readers[payload.context["stream"]](payload, content)


def _stablecoins(payload: Payload, rows: list[dict[str, Any]]) -> Iterator[Row]:
    """In dollars all pegs add up; units are yen beside euros, and are only kept."""
    _check_every(payload, rows, _CHART, _CHART_AT_TIMES)
    for row in rows:
        ts = _instant(payload, row["date"])
        if ts.hour or ts.minute or ts.second:
            raise Malformed(f"{payload.url}: a row of a day is dated {ts.isoformat()}, which is no midnight", payload)
        usd, units = (_pegs(payload, ts, row[name]) for name in ("totalCirculatingUSD", "totalCirculating"))
        values = {
            "total_circulating_usd": _total(usd),
            "circulating_usd": _exact_json(usd),
            "circulating": _exact_json(units),
        }
        yield Row(payload.context["series"], ts, values)


def _protocols(payload: Payload, rows: list[dict[str, Any]]) -> Iterator[Row]:
    """The sum over a category as of when the answer arrived: it states no instant. Of a protocol's many fields two
    are read, and new ones are no news."""
    category = payload.context["series"]
    for row in rows:
        if "category" not in row:
            check_fields(payload, row, _PROTOCOL)
    named = [row.get("tvl") for row in rows if row["category"] == category]
    known = [_number(payload, tvl) for tvl in named if tvl is not None]
    if not known:
        what = "protocol with a tvl" if named else "protocol"
        raise Malformed(f"{payload.url}: no {what} has the category {category!r}. Was a name changed?", payload)
    counts = {"protocols": len(known), "unknown": len(named) - len(known)}
    yield Row(category, payload.fetched_at, {"tvl": sum(known, Decimal(0)), **counts})


def _tvl(payload: Payload, rows: list[dict[str, Any]]) -> Iterator[Row]:
    _check_every(payload, rows, _TVL)
    for row in rows:
        tvl = None if row["tvl"] is None else _number(payload, row["tvl"])
        yield Row(payload.context["series"], _instant(payload, row["date"]), {"tvl": tvl})


def _check_every(
    payload: Payload, rows: list[dict[str, Any]], known: frozenset[str], at_times: frozenset[str] = frozenset()
) -> None:
    """Hold the fields of all rows against the known ones, with one warning for thousands of rows."""
    for row in rows:
        if not known <= row.keys():
            check_fields(payload, row, known)
    check_fields(payload, dict.fromkeys({name for row in rows for name in row} - at_times), known)


def _pegs(payload: Payload, ts: datetime, pegs: Any) -> dict[str, Decimal | None]:
    if not isinstance(pegs, dict):
        raise Malformed(f"{payload.url}: the row of {ts.date()} has {str(pegs)[:100]!r} instead of pegs", payload)
    return {peg: None if value is None else _number(payload, value) for peg, value in pegs.items()}


def _total(usd: Mapping[str, Decimal | None]) -> Decimal | None:
    """The sum over the pegs that are there: a peg that is absent had no price, and no size to speak of. Not known
    where a peg is null, or the dollars, which are nearly all of it, are absent."""
    values = [value for value in usd.values() if value is not None]
    return sum(values, Decimal(0)) if DOLLARS in usd and len(values) == len(usd) else None


def _exact_json(pegs: Mapping[str, Decimal | None]) -> str:
    """An object as JSON text with its numbers digit for digit."""
    cells = (f"{json.dumps(peg)}: {'null' if pegs[peg] is None else pegs[peg]}" for peg in sorted(pegs))
    return "{" + ", ".join(cells) + "}"


def _instant(payload: Payload, date: Any) -> datetime:
    """Seconds since 1970: stablecoins write them as a string, TVL as an integer."""
    seconds = int(date) if is_count_in_text(date) and len(date) < 20 else date
    if type(seconds) is not int or not 0 < seconds < FIRST_MILLISECONDS:
        raise Malformed(f"{payload.url}: {date!r} is no date: seconds since 1970 were due", payload)
    return EPOCH + timedelta(seconds=seconds)


def _number(payload: Payload, value: Any) -> Decimal:
    if type(value) is not int and not isinstance(value, Decimal):
        raise Malformed(f"{payload.url}: {value!r} is no number", payload)
    return Decimal(value)
