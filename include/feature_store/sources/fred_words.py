"""How FRED writes lists, numbers and units. https://fred.stlouisfed.org/docs/api/fred/series_observations.html"""

from decimal import Decimal
from typing import Any

from feature_store.errors import Malformed
from feature_store.sources.contract import Payload, decimal_in_text

NOT_KNOWN = "."


def units_of(described: Payload) -> list[list[str]]:
    """[first vintage date, unit] for each real-time period in which FRED stated the same."""
    return [[entry["realtime_start"], entry["units"]] for entry in member(described, "seriess")]


def member(payload: Payload, name: str) -> Any:
    """A member of the answer; Malformed when it has none of that name."""
    body = payload.json()
    if not isinstance(body, dict) or name not in body:
        keys = sorted(body) if isinstance(body, dict) else type(body).__name__
        raise Malformed(f"{payload.url}: the answer has no {name!r}; it has {keys}", payload)
    return body[name]


def number(text: object) -> Decimal | None:
    """A value as FRED wrote it, that is as text, None where it is not known; else Malformed."""
    return None if text == NOT_KNOWN else Decimal(decimal_in_text(text))


def unit_on(units: list[list[str]], vintage: str) -> str:
    """The unit stated on a vintage date; before the first statement, the first one holds."""
    held = [unit for start, unit in units if start <= vintage]
    return held[-1] if held else units[0][1]
