"""What must hold of a point before it is published: the rules of the wire contract, by name, and what to do."""

import math
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.calendars import span
from feature_store.errors import CatalogError
from feature_store.serving.publishing.body import Point
from feature_store.serving.timing import microseconds, valid_at

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Day = tuple[str, date]
"""A feature and a UTC day of it."""


@dataclass(frozen=True)
class Publisher:
    """Who publishes: a key, what its holder calls it, and what it may do."""

    key_id: str
    name: str
    scopes: AbstractSet[str]
    """`publish` is for features that list it among their writers, `admin` for all that are not computed."""

    def may_write(self, feature: FeatureSpec) -> bool:
        """Whether points of the feature are taken from this publisher."""
        return "admin" in self.scopes or ("publish" in self.scopes and feature.is_publishable)


@dataclass(frozen=True)
class Failure:
    """A point that broke a rule: its place in the request, and why in words."""

    index: int
    feature_id: str
    ts: datetime
    rule: str
    reason: str

    def wire(self) -> dict[str, Any]:
        """As answers tell it."""
        return {
            "index": self.index,
            "featureId": self.feature_id,
            "ts": _said(self.ts),
            "rule": self.rule,
            "reason": self.reason,
        }


def check(
    catalog: Catalog, points: Sequence[Point], publisher: Publisher, now: datetime, retired: AbstractSet[Day]
) -> list[Failure]:
    """The first rule that each point breaks, of those that break one, in the order of the request.

    `retired` are the days of features that lie in the archive alone.
    """
    ends = _ends(catalog, points, now)
    found: dict[int, tuple[str, str]] = {}
    for index, point in enumerate(points):
        broken = (
            _of_feature(catalog, point, publisher)
            or _of_value(catalog.features[point.feature_id], point)
            or _of_time(catalog.features[point.feature_id], point, ends[index], now)
            or _of_day(point, retired)
        )
        if broken is not None:
            found[index] = broken
    for index, reason in _twice(points, now):
        found.setdefault(index, ("twice", reason))
    return [Failure(index, points[index].feature_id, points[index].ts, *found[index]) for index in sorted(found)]


def _of_feature(catalog: Catalog, point: Point, publisher: Publisher) -> tuple[str, str] | None:
    feature = catalog.features.get(point.feature_id)
    if feature is None:
        return "unknown_feature", "the catalog has no such feature: /v1/catalog lists them"
    if feature.is_derived:
        return "derived", f"it is computed from {', '.join(feature.inputs)}: publish those"
    if not publisher.may_write(feature):
        if feature.is_publishable:
            return "not_a_writer", "it needs a key with the scope publish"
        return "not_a_writer", "a connector writes it: overriding that needs a key with the scope admin"
    return None


def _of_value(feature: FeatureSpec, point: Point) -> tuple[str, str] | None:
    if not math.isfinite(point.value):
        return "not_finite", f"its value is {point.value}: leave a point out whose value is not known"
    low, high = feature.quality.expected_range
    if not low <= point.value <= high:
        return "out_of_range", (
            f"its value is {point.value:.10g}; expected from {low:.10g} to {high:.10g} {feature.unit}: look at the "
            "unit and the sign, or widen quality.expected_range in the catalog"
        )
    return None


def _of_time(feature: FeatureSpec, point: Point, ends_at: datetime | None, now: datetime) -> tuple[str, str] | None:
    if point.ts > now:
        return "in_the_future", f"its ts lies after the store's now, {_said(now)}"
    if ends_at is None:
        first, _ = span(feature.calendar)
        return "out_of_range", f"its ts lies before {first}, and the calendar {feature.calendar} knows no day before"
    if ends_at > now:
        return "in_the_future", (
            f"its period is over at {_said(ends_at)}, and the store's now is {_said(now)}: publish it then; ts is the "
            f"{feature.label} of {feature.period}"
        )
    stated = point.available_at
    if stated is not None and not ends_at <= stated <= now:
        return "available_at", (
            f"availableAt is {_said(stated)}; allowed is from {_said(ends_at)}, when its period was over, to the "
            f"store's now, {_said(now)}"
        )
    return None


def _of_day(point: Point, retired: AbstractSet[Day]) -> tuple[str, str] | None:
    day = point.ts.date()
    if (point.feature_id, day) not in retired:
        return None
    return "retired", (
        f"what it holds of {day} lies in the archive alone: bring it back with `feature-store archive restore` and "
        "publish again"
    )


def _twice(points: Sequence[Point], now: datetime) -> Iterator[tuple[int, str]]:
    """Points that contradict an earlier one of the same request."""
    first: dict[tuple[str, datetime, datetime], int] = {}
    for index, point in enumerate(points):
        before = first.setdefault((point.feature_id, point.ts, point.available_at or now), index)
        if (points[before].number, points[before].provisional) != (point.number, point.provisional):
            yield index, f"point {before} says another value of the same ts and availableAt: send one of them"


def _ends(catalog: Catalog, points: Sequence[Point], now: datetime) -> list[datetime | None]:
    """When the period of each point is over; None where the feature, or its calendar so long ago, is unknown, and of
    what begins in the future."""
    ends: list[datetime | None] = [None] * len(points)
    by_feature: dict[str, list[int]] = {}
    for index, point in enumerate(points):
        if point.feature_id in catalog.features and point.ts <= now:
            by_feature.setdefault(point.feature_id, []).append(index)
    for feature_id, indexes in by_feature.items():
        feature = catalog.features[feature_id]
        instants = [microseconds(points[index].ts - _EPOCH) for index in indexes]
        for index, end in zip(indexes, _valid_at(feature, instants), strict=True):
            ends[index] = end
    return ends


def _valid_at(feature: FeatureSpec, instants: list[int]) -> list[datetime | None]:
    try:
        return [_EPOCH + end * _MICROSECOND for end in valid_at(feature, np.array(instants, np.int64)).tolist()]
    except CatalogError:  # of one that its calendar does not know, and so one by one
        return [None] if len(instants) == 1 else [end for each in instants for end in _valid_at(feature, [each])]


def _said(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
