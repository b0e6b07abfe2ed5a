"""What is newest at an instant, in plain Python, word for word as it is defined."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from feature_store.catalog.calendars import close_at, is_open
from feature_store.catalog.contracts import FeatureSpec
from feature_store.catalog.durations import shift

DAY = timedelta(days=1)
CLOSES = ("nyse", "sifma-us", "fed-desk", "us-federal", "fx-weekdays")


@dataclass(frozen=True)
class Version:
    """A row of features.features_versions, as far as it matters here."""

    ts: datetime
    available_at: datetime
    ingested_at: datetime
    value: float | None
    basis: str

    @property
    def key(self) -> tuple[datetime, datetime, datetime]:
        return self.ts, self.available_at, self.ingested_at


@dataclass(frozen=True)
class Question:
    """What is asked of a feature at `at`, in state (known_at, as_stored)."""

    at: datetime
    known_at: datetime
    as_stored: datetime | None = None
    is_strict: bool = True
    max_age: timedelta | None = None


def newest(feature: FeatureSpec, versions: Sequence[Version], asked: Question) -> Version | None:
    """The row of the point with the newest valid_at, then ts, that was known and not withdrawn, and is not too old."""
    points: dict[datetime, Version] = {}
    for version in sorted(versions, key=lambda version: (version.available_at, version.ingested_at)):
        if is_eligible(version, asked):
            points[version.ts] = version
    over = [(valid_at(feature, ts), ts) for ts, version in points.items() if version.value is not None]
    over = [(valid, ts) for valid, ts in over if valid <= asked.at]
    if not over:
        return None
    valid, ts = max(over)
    if asked.max_age is not None and open_age(feature.calendar, valid, asked.at) > asked.max_age:
        return None
    return points[ts]


def is_eligible(version: Version, asked: Question) -> bool:
    """Whether the row exists in this store as of S and counts as available as of K."""
    counts_from = version.ingested_at if asked.is_strict and version.basis == "backfilled" else version.available_at
    return counts_from <= asked.known_at and (asked.as_stored is None or version.ingested_at <= asked.as_stored)


def valid_at(feature: FeatureSpec, ts: datetime) -> datetime:
    """When the period of ts is over."""
    if feature.label != "start" or feature.period is None:
        return ts
    if feature.period != "session":
        return shift(ts, feature.period)
    day = ts.date()
    while not is_open(feature.calendar, day):
        day -= DAY
    return close_at(feature.calendar, day)


def open_age(calendar: str, since: datetime, until: datetime) -> timedelta:
    """The time between, day by day, without the UTC days on which a calendar with closings has no session."""
    age = timedelta(0)
    day = since.date()
    while day <= until.date():
        midnight = datetime.combine(day, time.min, UTC)
        if calendar not in CLOSES or is_open(calendar, day):
            age += min(until, midnight + DAY) - max(since, midnight)
        day += DAY
    return age
