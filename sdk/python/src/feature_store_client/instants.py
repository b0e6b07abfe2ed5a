"""Instants and durations on their way to the store and back. An instant names its zone."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import TypeAlias

from feature_store_client.errors import InvalidRequest

Instant: TypeAlias = datetime | str
"""A datetime with a zone, or ISO 8601 with one: 2024-05-29T14:30:00Z."""

Bound: TypeAlias = datetime | date | str
"""An instant, or a day: its midnight in UTC."""

MaxAge: TypeAlias = timedelta | str | Mapping[str, timedelta | str]
"""A duration (ISO 8601, where it is a text: P10D), or one for each feature."""


def instant(name: str, value: Instant | None) -> str | None:
    """The instant as the wire has it; raises InvalidRequest for one without a zone."""
    if value is None:
        return None
    found = _parsed(name, value) if isinstance(value, str) else value
    if not isinstance(found, datetime):
        raise InvalidRequest(
            f"{name} is {value!r}, and a day is no instant: give a datetime with a zone, "
            "for example datetime(2024, 5, 29, 14, 30, tzinfo=timezone.utc)"
        )
    if found.utcoffset() is None:
        raise InvalidRequest(
            f"{name} is {value}, which names no time zone: give one, "
            "for example datetime(2024, 5, 29, 14, 30, tzinfo=timezone.utc)"
        )
    return found.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def bound(name: str, value: Bound | None) -> str | None:
    """The end of a range as the wire has it: an instant, or a day, which is its midnight in UTC."""
    if isinstance(value, str) and len(value) == len("2024-05-29"):
        value = _day(name, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    return instant(name, value)


def read_instant(text: str) -> datetime:
    """An instant of the wire."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def duration(value: timedelta | str) -> str:
    """The duration as the wire has it; raises InvalidRequest for one of a part of a second."""
    if isinstance(value, str):
        return value
    seconds = value.total_seconds()
    if seconds < 0 or not seconds.is_integer():
        raise InvalidRequest(f"max_age is {value}: give whole seconds, from none on")
    return f"PT{int(seconds)}S"


def _parsed(name: str, text: str) -> datetime:
    try:
        return read_instant(text)
    except ValueError:
        raise InvalidRequest(
            f"{name} is {text!r}, which is no instant of ISO 8601 such as 2024-05-29T14:30:00Z"
        ) from None


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{name} is {text!r}, which is no day such as 2024-05-29") from None
