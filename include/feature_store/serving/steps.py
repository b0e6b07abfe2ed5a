"""What was known of a feature at any instant, found for many instants at once: the core of the point-in-time join.

Of each ts the state (K, S) is the row with the greatest (available_at, ingested_at) among those eligible. So, for one
S, a row is the state of its ts for every K from the instant at which it is eligible until a later row of that ts is. A
step is such a row with its K *since* and *until*. A row that is the state for no K is no step, nor is a withdrawn one:
it only ends the step before it. The newest point is then the last step, in the order of valid_at, with valid_at <= at
and since <= K <= until.

Usually that is the last one with valid_at <= at, or the last one with since <= K. Else one walks back from there, past
blocks of steps of which no `since` is early or no `until` late enough, and past blocks of such blocks. One goes from
step to step only where points withdrawn by K alternate with points not known yet: a run that was withdrawn and came
again, asked about in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.catalog.contracts import FeatureSpec
from feature_store.serving.timing import Instants, microseconds, open_age, valid_at
from feature_store.warehouse.versions import INSTANT

COLUMNS = ("ts", "value", "available_at", "available_basis", "ingested_at")
"""What steps are made of."""

Positions = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

_FANOUT = 8
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Steps:
    """One definition version of a feature, as this store holds it or once held it: what was known of it when."""

    calendar: str
    _strict: "_Timeline"
    _loose: "_Timeline"

    @classmethod
    def of(cls, feature: FeatureSpec, versions: pa.Table, as_stored: datetime | None = None) -> Self:
        """The steps of `versions`: all rows of that definition version, with COLUMNS at least.

        Instants are timestamp[us, UTC]. ValueError unless the rows are in the order of ts, available_at, ingested_at.
        Rows ingested after `as_stored` (aware) do not exist. CatalogError as `timing.valid_at`.
        """
        rows = _Rows.of(feature, versions, as_stored)
        loose = _Timeline.of(rows, rows.available_at)
        if not rows.is_backfilled.any():
            return cls(feature.calendar, loose, loose)
        eligible_at = np.where(rows.is_backfilled, rows.ingested_at, rows.available_at)
        return cls(feature.calendar, _Timeline.of(rows, eligible_at), loose)

    def newest(
        self, at: Instants, known_at: Instants, *, strict: bool = True, max_age: timedelta | None = None
    ) -> Positions:
        """The row of the newest point for each pair of `at` and `known_at`: its position in the table, -1 for none.

        That is the point with the newest valid_at <= at which was known at known_at and not withdrawn then; of points
        valid at once (a session's, and those of the days without one after it) the one with the latest ts. `strict`
        has backfilled rows known since their ingested_at, otherwise since their available_at. A point older at `at`
        than `max_age`, closed time of the calendar apart, is none. Fastest where `at` ascends. CatalogError as
        `timing.open_age`.
        """
        timeline = self._strict if strict else self._loose
        if _ascends(at):
            step = timeline.last(at, known_at)
        else:
            order = np.argsort(at)
            step = np.empty(len(at), np.intp)
            step[order] = timeline.last(at[order], known_at[order])
        if max_age is not None:
            found = np.flatnonzero(step >= 0)
            age = open_age(self.calendar, timeline.valid_at[step[found]], at[found])
            step[found[age > microseconds(max_age)]] = -1
        return timeline.positions(step)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The stored rows of a table in the order of valid_at, ts, available_at, ingested_at."""

    position: Positions | None
    """Where each is in the table; None where they are all of it, in its order."""
    ts: Instants
    valid_at: Instants
    available_at: Instants
    ingested_at: Instants
    is_backfilled: Flags
    is_withdrawn: Flags

    @classmethod
    def of(cls, feature: FeatureSpec, versions: pa.Table, as_stored: datetime | None) -> Self:
        ts, available_at, ingested_at = (_instants(versions[name]) for name in ("ts", "available_at", "ingested_at"))
        is_backfilled = _flags(pc.equal(versions["available_basis"], "backfilled"))
        is_withdrawn = _flags(versions["value"].is_null())
        _refuse_disorder(ts, available_at, ingested_at)
        rows = cls(None, ts, valid_at(feature, ts), available_at, ingested_at, is_backfilled, is_withdrawn)
        if as_stored is not None:
            stored = pc.less_equal(versions["ingested_at"], pa.scalar(as_stored, INSTANT))
            rows = rows._taken(np.flatnonzero(_flags(stored)))
        if not _ascends(rows.valid_at):  # the last days of a month, plus a month
            rows = rows._taken(np.argsort(rows.valid_at, kind="stable"))
        return rows

    def _taken(self, chosen: Positions) -> Self:
        return type(self)(
            chosen if self.position is None else self.position[chosen],
            self.ts[chosen],
            self.valid_at[chosen],
            self.available_at[chosen],
            self.ingested_at[chosen],
            self.is_backfilled[chosen],
            self.is_withdrawn[chosen],
        )


@dataclass(frozen=True, eq=False)
class _Timeline:
    """Steps in the order of valid_at and ts."""

    position: Positions | None
    """Where the row of each is in the table; None where every row is a step, in its order."""
    valid_at: Instants
    first_since: Instants
    """The least `since` from each step on: it ascends, so it tells the last step known at an instant."""
    since: Instants
    """Of each step, then of each _FANOUT of them (whole blocks only) the least, then of each _FANOUT blocks, ..."""
    until: Instants
    """The same with the greatest."""
    level: Positions
    """Where in `since` and `until` the steps begin, the blocks, the blocks of blocks, ..."""

    @classmethod
    def of(cls, rows: _Rows, eligible_at: Instants) -> Self:
        until = _until(rows.ts, eligible_at)
        is_step = (eligible_at <= until) & ~rows.is_withdrawn
        position, valid, since = rows.position, rows.valid_at, eligible_at
        if not is_step.all():
            position = np.flatnonzero(is_step) if position is None else position[is_step]
            valid, since, until = valid[is_step], since[is_step], until[is_step]
        first_since = np.minimum.accumulate(since[::-1])[::-1]
        since, level = _levels(since, np.minimum)
        until, _ = _levels(until, np.maximum)
        return cls(position, valid, first_since, since, until, level)

    def last(self, at: Instants, known_at: Instants) -> Positions:
        """The last step for each pair with valid_at <= at and since <= known_at <= until; -1 where there is none."""
        step = np.searchsorted(self.valid_at, at, side="right") - 1
        missed = np.flatnonzero(step >= 0)
        missed = missed[~self._may_hold(step[missed], known_at[missed])]
        known = known_at[missed]
        latest = np.searchsorted(self.first_since, known, side="right") - 1
        step[missed] = self._last_up_to(np.minimum(step[missed], latest), known)
        return step

    def positions(self, step: Positions) -> Positions:
        """Where in the table the row of each step is; -1 for -1."""
        if self.position is None:
            return step
        found = step >= 0
        step[found] = self.position[step[found]]
        return step

    def _may_hold(self, block: Positions, known_at: Instants) -> Flags:
        """Whether a step of the block can be known then; of a block that is one step, whether it is."""
        return (self.since[block] <= known_at) & (known_at <= self.until[block])

    def _last_up_to(self, step: Positions, known_at: Instants) -> Positions:
        """The last step at or before each given one with since <= known_at <= until; -1 where there is none."""
        found = np.full(len(step), -1)
        asked = np.flatnonzero(step >= 0)
        block, level, known = step[asked], np.zeros(len(asked), np.intp), known_at[asked]
        while len(asked):
            inward = self._may_hold(self.level[level] + block, known)
            is_found = inward & (level == 0)
            found[asked[is_found]] = block[is_found]
            # Into the newest part of a block that may hold the step; else on to the block before, the larger one
            # where that ends there.
            outward = ~inward & (block % _FANOUT == 0)
            block = np.where(inward, (block + 1) * _FANOUT, np.where(outward, block // _FANOUT, block)) - 1
            level = level - inward + outward
            goes_on = ~is_found & (block >= 0)
            asked, block, level, known = asked[goes_on], block[goes_on], level[goes_on], known[goes_on]
        return found


def _until(ts: Instants, eligible_at: Instants) -> Instants:
    """The last K for which no later row of the same ts is eligible."""
    until = np.full(len(ts), _FOREVER)
    followed = np.flatnonzero(ts[1:] == ts[:-1])
    until[followed] = eligible_at[followed + 1] - 1
    while True:  # once, but where a later row was eligible earlier: a backfilled one, when strict
        earliest = np.minimum(until[followed], until[followed + 1])
        if (earliest == until[followed]).all():
            return until
        until[followed] = earliest


def _levels(steps: Instants, extreme: np.ufunc) -> tuple[Instants, Positions]:
    """The steps, the extreme of each block of them, of each block of blocks, ..., and where each level begins."""
    levels = [steps]
    while len(levels[-1]) >= _FANOUT:
        parts, whole = levels[-1], len(levels[-1]) // _FANOUT * _FANOUT
        levels.append(extreme.reduce([parts[nth:whole:_FANOUT] for nth in range(_FANOUT)]))
    return np.concatenate(levels), np.cumsum([0, *(len(level) for level in levels[:-1])])


def _refuse_disorder(ts: Instants, available_at: Instants, ingested_at: Instants) -> None:
    followed = np.flatnonzero(ts[1:] == ts[:-1])
    waited = available_at[followed + 1] - available_at[followed]
    is_correction = ingested_at[followed + 1] > ingested_at[followed]
    if not (_ascends(ts) and ((waited > 0) | ((waited == 0) & is_correction)).all()):
        raise ValueError("versions must be in the order of ts, available_at, ingested_at, each key once")


def _ascends(instants: Instants) -> bool:
    return bool((instants[1:] >= instants[:-1]).all())


def _instants(column: pa.ChunkedArray) -> Instants:
    instants: Instants = column.cast(INSTANT).cast(pa.int64()).to_numpy()
    return instants


def _flags(column: pa.ChunkedArray) -> Flags:
    flags: Flags = column.to_numpy()
    return flags
