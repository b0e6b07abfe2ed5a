"""Coverage: which of the points that a feature's calendar expects are there.

Over the last thirty days, or twelve points of what comes more rarely. A point is expected from the first one held on,
up to the newest; up to now once the feature is past its ttl, for what is not stale yet is not missing either. Snapshots
keep no grid, so of intraday features the slots that hold a point are counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from feature_store.catalog import FeatureSpec
from feature_store.catalog.calendars import sessions
from feature_store.catalog.release import release_at
from feature_store.quality.changes import step_of
from feature_store.quality.results import RuleResult, plain

Instants = NDArray[np.int64]
"""Microseconds since 1970, ascending."""

SUITE = "coverage"
DAYS = timedelta(days=30)
LEAST_POINTS = 12
"""Of fewer one that is missing would decide; what is missing between them is told as a gap."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALLOWED = {"1m": 5, "5m": 3, "1h": 1}
"""Points in a row that may be missing: a restart of ours, a pause of an exchange. No session and no settlement may."""
_HOLIDAYS = 1
"""On a calendar of weekdays: markets pause on Christmas and on New Year's Day."""


@dataclass(frozen=True)
class Coverage:
    """How many points there are of those expected, and the longest run of missing ones."""

    present: int
    expected: int
    missing: int = 0
    since: datetime | None = None
    until: datetime | None = None
    """First and last instant of the longest run of missing points, UTC."""

    @property
    def ratio(self) -> float:
        """Present over expected; 1 where nothing is expected, 0 where nothing ever came."""
        return self.present / self.expected if self.expected else 1.0


def window_of(feature: FeatureSpec) -> timedelta:
    """How far back coverage of a feature looks."""
    return max(DAYS, LEAST_POINTS * step_of(feature))


def coverage(feature: FeatureSpec, held: Instants | None, now: datetime, *, is_stale: bool) -> Coverage:
    """The coverage of a feature by the points it has in its window; None where none is expected yet."""
    if held is None:
        return Coverage(0, 0)
    if held.size == 0:
        return Coverage(0, 1)
    until = micros(now) if is_stale else int(held[-1])
    if feature.frequency == "1d":
        expected = _days(feature, int(held[0]), until, now)
        return _compared(expected, np.isin(expected, held))
    if feature.frequency == "tick":
        return _of_events(held, until)
    step = step_of(feature) // _MICROSECOND
    slots = np.arange(held[0] // step, until // step + (until == held[-1]))
    return _compared(slots * step, np.isin(slots, held // step))


def coverage_results(
    features: Sequence[FeatureSpec], found: Mapping[str, Coverage], minimum: float
) -> Iterator[RuleResult]:
    """For each feature whether enough is there, and whether no stretch is missing."""
    for feature in features:
        yield from _results(feature, found[feature.id], minimum)


def _results(feature: FeatureSpec, found: Coverage, minimum: float) -> Iterator[RuleResult]:
    yield RuleResult(
        suite=SUITE,
        rule="coverage",
        severity="block",
        scope="table",
        feature=feature.id,
        success=found.ratio >= minimum or (found.present > 0 and found.expected < LEAST_POINTS),
        checked=found.expected,
        failed=found.expected - found.present,
        observed=f"{found.present} of {found.expected} expected points, {found.ratio:.1%}"
        if found.present or not found.expected
        else "no point",
        expected=f"at least {plain(100 * minimum)} % of the points of calendar {feature.calendar}",
        reason="FEATURE_DQ_COVERAGE_MIN, of the last thirty days or twelve points",
    )
    allowed = _ALLOWED.get(feature.frequency, 0) + _HOLIDAYS * (feature.calendar == "fx-weekdays")
    yield RuleResult(
        suite=SUITE,
        rule="gap",
        severity="warn",
        scope="table",
        feature=feature.id,
        success=found.missing <= allowed,
        checked=None,
        failed=None,
        observed=_span(found),
        expected=f"at most {allowed} points in a row to be missing",
        reason="what is missing between points that came was lost on the way, or the source never had it",
    )


def _span(found: Coverage) -> str:
    if found.since is None or found.until is None:
        return "no point missing in between"
    if found.missing == 1:
        return f"1 point missing, of {found.since.isoformat()}"
    return f"{found.missing} points in a row missing, from {found.since.isoformat()} to {found.until.isoformat()}"


def _compared(expected: Instants, is_there: NDArray[np.bool_]) -> Coverage:
    """The longest run is looked for up to the last point that came: what is late is told by freshness."""
    came = np.flatnonzero(is_there)
    if came.size == 0:
        return Coverage(0, len(expected))
    lengths = np.diff(came) - 1
    longest = int(lengths.max(initial=0))
    if longest == 0:
        return Coverage(len(came), len(expected))
    first = came[int(lengths.argmax())] + 1
    return Coverage(
        len(came), len(expected), longest, _instant(expected[first]), _instant(expected[first + longest - 1])
    )


def _of_events(held: Instants, until: int) -> Coverage:
    """Settlements come every 8, 4 or 1 hours, as the exchange likes: what is usual around a pause tells what lacks."""
    pauses = np.diff(held)
    if pauses.size == 0:
        return Coverage(1, 1)
    around = [max(np.median(pauses[max(0, n - 5) : n + 1]), np.median(pauses[n : n + 6])) for n in range(pauses.size)]
    usual = np.where(np.asarray(around) > 0, around, 1)
    lacking = np.maximum(np.round(pauses / usual) - 1, 0).astype(int)
    late = int((until - held[-1]) // usual[-1])
    longest, place = int(lacking.max()), int(lacking.argmax())
    expected = held.size + int(lacking.sum()) + late
    if longest == 0:
        return Coverage(held.size, expected)
    edges = held[place] + usual[place], held[place] + longest * usual[place]
    return Coverage(held.size, expected, longest, _instant(edges[0]), _instant(edges[1]))


def _days(feature: FeatureSpec, first: int, until: int, now: datetime) -> Instants:
    """The days of the calendar; of those that never came the ones that are out by now."""
    days = sessions(feature.calendar, _instant(first).date(), _instant(until).date())
    instants = [datetime.combine(day.date, time.min, UTC) for day in days]
    if feature.release is not None:
        released = release_at(feature, instants)
        instants = [ts for ts, out in zip(instants, released, strict=True) if out <= now]
    return np.array([micros(ts) for ts in instants], np.int64)


def micros(at: datetime) -> int:
    """An instant as Instants have it."""
    return (at - _EPOCH) // _MICROSECOND


def _instant(micros: float) -> datetime:
    return _EPOCH + int(micros) * _MICROSECOND
