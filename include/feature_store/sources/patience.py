"""How long a host is left alone after what it answered: what it says itself, else what is usual. Real time."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time

from feature_store.catalog.contracts import UsedWeight

LONGEST_WAIT_SECONDS = 120.0
"""A request waits at most this long for its next attempt; then it fails, and whoever wants may come again."""

SLOW_DOWN_SECONDS = 20.0
"""429: doubled with each in a row. FRED sends no Retry-After: it asks for patience, and names no number."""

BAN_SECONDS = 900.0
"""418: Binance's bans last from two minutes to three days, and asking prolongs them."""

FIREWALL_SECONDS = 900.0
"""403: a firewall took offence at the address."""

PLACE_SECONDS = 3600.0
"""451: the host does not serve where the address is."""

FAILURES_BEFORE_OUTAGE = 5
OUTAGE_SECONDS = 60.0
LONGEST_OUTAGE_SECONDS = 900.0
"""5xx, 408 or no answer: from the fifth in a row a minute, doubled with each up to a quarter of an hour."""

LONGEST_PAUSE_SECONDS = 3 * 86_400.0
"""No word of a source closes it for longer: a slip there would last for ever here."""

FULL = 0.9
"""The share of a host's budget at which the rest of its minute is left to others."""

ADVICE: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "A firewall refuses this address: ask more slowly, or from another address",
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "It does not serve the place of this address: ask from another address, "
    "or name a mirror as base_url in datasources.yaml (for Binance's spot data https://data-api.binance.vision)",
}
"""What to do about a status that asking again does not mend."""

_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")


def patience(status: int | None) -> Callable[[int], float] | None:
    """Seconds by the number of failures in a row, for a host that names none; None for the status of a healthy host.

    The status None stands for no answer.
    """
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return slow_down
        case HTTPStatus.IM_A_TEAPOT:
            return lambda _: BAN_SECONDS
        case HTTPStatus.FORBIDDEN:
            return lambda _: FIREWALL_SECONDS
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return lambda _: PLACE_SECONDS
    if status is None or status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _outage
    return None


def slow_down(failures: int) -> float:
    """Seconds to wait after so many 429 in a row that named no time."""
    return _doubled(SLOW_DOWN_SECONDS, failures - 1, LONGEST_WAIT_SECONDS)


def stated_seconds(headers: Mapping[str, str], body: str) -> float | None:
    """How long from now the answer itself asks to be left alone: in Retry-After, or as Binance words a ban."""
    seconds = _retry_after(headers.get("retry-after", ""))
    banned = _BANNED_UNTIL.search(body)
    if banned:
        seconds = max(seconds, int(banned[1]) / 1000 - time())
    return min(seconds, LONGEST_PAUSE_SECONDS) if seconds > 0 else None


def spent(headers: Mapping[str, str], budget: UsedWeight) -> str | None:
    """The host's own count in words, when (nearly) all of the minute's budget is spent, by us or by others."""
    said = headers.get(budget.header, "")
    if not said.isdecimal() or int(said) < FULL * budget.per_minute:
        return None
    return f"{budget.header} says that {said} of {budget.per_minute} are spent in this minute"


def seconds_to_next_minute() -> float:
    """How long the wall clock's minute still lasts."""
    return 60 - time() % 60


def seconds_to_next_day() -> float:
    """How long the wall clock's day still lasts, in UTC."""
    return 86_400 - time() % 86_400


def _outage(failures: int) -> float:
    if failures < FAILURES_BEFORE_OUTAGE:
        return 0.0
    return _doubled(OUTAGE_SECONDS, failures - FAILURES_BEFORE_OUTAGE, LONGEST_OUTAGE_SECONDS)


def _doubled(first: float, times: int, longest: float) -> float:
    return min(first * 2.0 ** min(times, 20), longest)


def _retry_after(header: str) -> float:
    if header.strip().isdecimal():
        return float(header)
    try:
        return parsedate_to_datetime(header).replace(tzinfo=UTC).timestamp() - time()
    except ValueError:
        return 0.0
