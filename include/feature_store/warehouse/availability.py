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
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from feature_store.catalog.contracts import SeriesSpec, Tail
from feature_store.catalog.release import release_at, scheduled_on, valid_at
from feature_store.sources.contract import Row

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Availability:
    """What is known of rows by themselves, UTC, in columns. `stated_*` settle it; without them R and its tail do.

    A first value fetched up to `settled_until` counts as fetched on time; None: whenever it is fetched.
    """

    released_at: Sequence[datetime]
    settled_until: Sequence[datetime | None]
    stated_at: Sequence[datetime | None]
    stated_basis: Sequence[str | None]


def of_rows(series: SeriesSpec, zone: str, rows: Sequence[Row]) -> Availability:
    """Of rows that may state their vintage; `zone` is that of the stream's vintage dates."""
    by_rule = of_instants(series, [row.ts for row in rows])
    stated = [_stated(series, zone, row, at) for row, at in zip(rows, by_rule.released_at, strict=True)]
    return replace(by_rule, stated_at=[at for at, _ in stated], stated_basis=[basis for _, basis in stated])


def of_instants(series: SeriesSpec, instants: Sequence[datetime]) -> Availability:
    """Of values that state nothing: the release rule alone."""
    released_at = release_at(series, instants)
    nothing = [None] * len(instants)
    if series.revises == "never":
        return Availability(released_at, nothing, nothing, nothing)
    settled = [_settled_until(series, ts, at) for ts, at in zip(instants, released_at, strict=True)]
    return Availability(released_at, settled, nothing, nothing)


def _stated(series: SeriesSpec, zone: str, row: Row, released_at: datetime) -> tuple[datetime | None, str | None]:
    if row.vintage is None:
        return None, None
    if row.is_censored and released_at.astimezone(ZoneInfo(zone)).date() < row.vintage:
        return released_at, "backfilled"
    return _vintage_at(series, row.vintage, zone), "vintage"


@lru_cache(maxsize=65536)
def _vintage_at(series: SeriesSpec, vintage: date, zone: str) -> datetime:
    """The scheduled release on the vintage date, else the end of that date."""
    end_of_day = datetime.combine(vintage + DAY, time.min, ZoneInfo(zone))
    return scheduled_on(series, vintage, zone) or end_of_day.astimezone(ZoneInfo("UTC"))


def _settled_until(series: SeriesSpec, ts: datetime, released_at: datetime) -> datetime:
    """The end of the time in which the source still revises by habit: n periods, or one where it revises deeply."""
    periods = series.revises.tail if isinstance(series.revises, Tail) else 1
    period = max(valid_at(series, ts) - ts, DAY)
    return released_at + periods * period
