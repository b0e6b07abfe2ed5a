"""The market over several exchanges: one fetch asks all venues at once and lands what they said as one answer.

Such a round is a JSON object: `round`, the instant at which it was over, and `venues`, which has of each venue either
the list of its answers, whose `body` is the text as it came (bytes that are no UTF-8 as lone surrogates), or
`error`, why there is none. A round waits for no venue beyond its deadline. How the venues are read is in
`cex_books.py` and `cex_open_interest.py`, and why it is so in docs/decisions/0010-a-round-of-venues.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any

from feature_store.catalog.contracts import SeriesSpec
from feature_store.errors import Malformed, Refused
from feature_store.sources import cex_books, cex_open_interest
from feature_store.sources.cex_round import ask
from feature_store.sources.cex_venue import Missing, Venue
from feature_store.sources.contract import Payload, Row, Value, Window
from feature_store.sources.http import Http

SECRET_PARAMS: dict[str, str] = {}
SERIES = "BTC"
DEADLINE_SECONDS = 8.0
LONGEST_WORDS = 500


@dataclass(frozen=True)
class Round:
    """One stream: whom to ask, which measures are summed, and the age beyond which an answer does not count."""

    venues: tuple[Venue, ...]
    summed: tuple[str, ...]
    oldest: timedelta


ROUNDS = {
    "books": Round(cex_books.VENUES, cex_books.SUMMED, cex_books.OLDEST),
    "open_interest": Round(cex_open_interest.VENUES, cex_open_interest.SUMMED, cex_open_interest.OLDEST),
}


def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]:
    """One round, now; raises Retriable when no venue answered."""
    if series.name != SERIES:
        raise Refused(f"{series.source_slug}/{series.stream}/{series.name}: the venues are asked for {SERIES} alone")
    started = monotonic()
    said = ask(http, ROUNDS[series.stream].venues, DEADLINE_SECONDS)
    over = http.now()
    content = json.dumps({"round": over.isoformat(), "venues": said}).encode()
    took = round((monotonic() - started) * 1000)
    yield Payload(
        series.stream, f"cex/{series.stream}", {"series": SERIES}, 200, "application/json", content, took, over
    )


def parse(payload: Payload) -> Iterator[Row]:
    """The row of a round: sums over the venues that can be read, and what each of them said.

    Raises Malformed when that is none of them.
    """
    wanted = ROUNDS[payload.endpoint]
    readers = {venue.name: venue for venue in wanted.venues}
    told = {name: _told(readers.get(name), said, wanted.oldest) for name, said in payload.json()["venues"].items()}
    counted = [venue for venue in told.values() if "missing" not in venue]
    if not counted:
        raise Malformed(f"{payload.url}: no venue can be read: {_exact(told)}", payload)
    values: dict[str, Value] = {name: sum((venue[name] for venue in counted), Decimal(0)) for name in wanted.summed}
    values |= {"venues": _exact(told), "answered": len(counted), "asked": len(told)}
    if "is_truncated" in counted[0]:
        values["is_truncated"] = any(venue["is_truncated"] for venue in counted)
    yield Row(payload.params["series"], payload.fetched_at, values)


def _told(venue: Venue | None, said: Any, oldest: timedelta) -> dict[str, Any]:
    """What a venue's answers come to: its measures and their instant, or why it is missing."""
    try:
        if venue is None or isinstance(said, dict):
            raise Missing(said["error"] if isinstance(said, dict) else "nothing reads it any more")
        reading = venue.read(*(_decoded(answer["body"]) for answer in said))
        arrived = datetime.fromisoformat(said[0]["fetched_at"]).astimezone(UTC)
        at = reading.at or arrived
        if abs(arrived - at) > oldest:
            raise Missing(f"{'stale' if at < arrived else 'of the future'}: of {at}, and it arrived at {arrived}")
        return {**reading.measures, "at": at.isoformat()}
    except Missing as missing:
        why = str(missing)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"its answer has an unexpected shape: {error!r}"
    return {"missing": why.encode("utf-8", "replace").decode().replace("\0", "")[:LONGEST_WORDS]}


def _decoded(body: str) -> Any:
    try:
        return json.loads(body.encode("utf-8", "surrogateescape"), parse_float=Decimal)
    except ValueError as error:
        kind = "HTML" if body.lstrip().startswith("<") else "truncated or broken JSON"
        raise Missing(f"it answered with {kind} where JSON was due ({error}); it starts {body[:60]!r}") from None


def _exact(value: Any) -> str:
    """JSON in which a Decimal is a number with all of its digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_exact(value[name])}" for name in sorted(value)) + "}"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)
