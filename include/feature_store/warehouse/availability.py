"""When could the source first have served a value? What the loader can say of a row before it looks at older rows.

    case                                                     available_at            basis
    the source states a vintage                              its scheduled release   vintage
                                                             on that date, else the
                                                             end of that date
    the archive's first vintage, of a value due before it    R                       backfilled
    everything else is decided beside older rows of the same point: see loading.sql

R is the release rule's instant. No value is available after it was fetched.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from feature_store.catalog.contracts import SeriesSpec, Tail
from feature_store.catalog.release import release_at, scheduled_on, valid_at
from feature_store.sources.contract import Row

DAY = timedelta(days=1)


class Availability(NamedTuple):
    """What is known of a row by itself, UTC. `stated_*` settle the matter; without them R and its tail do.

    A first value fetched up to `settled_until` counts as fetched on time; None: whenever it is fetched.
    """

    released_at: datetime
    settled_until: datetime | None
    stated_at: datetime | None = None
    stated_basis: str | None = None


def availability(series: SeriesSpec, zone: str, rows: Sequence[Row]) -> list[Availability]:
    """One Availability per row; `zone` is that of the stream's vintage dates."""
    released = release_at(series, [row.ts for row in rows])
    return [_of(series, zone, row, at) for row, at in zip(rows, released, strict=True)]


def _of(series: SeriesSpec, zone: str, row: Row, released_at: datetime) -> Availability:
    settled_until = _settled_until(series, row.ts, released_at)
    if row.vintage is None:
        return Availability(released_at, settled_until)
    if row.is_censored and released_at.astimezone(ZoneInfo(zone)).date() < row.vintage:
        return Availability(released_at, settled_until, released_at, "backfilled")
    return Availability(released_at, settled_until, _vintage_at(series, row.vintage, zone), "vintage")


@lru_cache(maxsize=65536)
def _vintage_at(series: SeriesSpec, vintage: date, zone: str) -> datetime:
    """The scheduled release on the vintage date, else the end of that date."""
    end_of_day = datetime.combine(vintage + DAY, time.min, ZoneInfo(zone))
    return scheduled_on(series, vintage, zone) or end_of_day.astimezone(ZoneInfo("UTC"))


def _settled_until(series: SeriesSpec, ts: datetime, released_at: datetime) -> datetime | None:
    """The end of the time in which the source still revises by habit: n periods, or one where it revises deeply.

    None where it never revises: its first value is its last, whenever it is fetched.
    """
    if series.revises == "never":
        return None
    periods = series.revises.tail if isinstance(series.revises, Tail) else 1
    period = max(valid_at(series, ts) - ts, DAY)
    return released_at + periods * period
