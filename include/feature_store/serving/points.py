"""Points over a range of ts, in some state, as they are read: hot and archive, in order, in bounded memory."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.archive.history import quarter_of
from feature_store.archive.versions import VersionReader
from feature_store.warehouse.assessments import with_confidence
from feature_store.warehouse.versions import KEY, VERSIONS, eligible, newest_of_each, oldest_of_each

Vintage = Literal["latest", "first", "all"]
"""Of each ts the newest version, the first that was not withdrawn, or all of them."""

COLUMNS = (
    "feature_id", "ts", "value", "confidence", "is_provisional", "available_at", "available_basis", "ingested_at",
    "meta", "evidence", "version",
)  # fmt: skip
POINTS = pa.schema([VERSIONS.field(name) for name in COLUMNS])
"""A point as features.features_values has it."""


@dataclass(frozen=True)
class Asked:
    """What is asked for: some columns of the state of what was known at K, as stored at S; None bounds nothing."""

    known_at: datetime | None = None
    stored_at: datetime | None = None
    strict: bool = True
    vintage: Vintage = "latest"
    columns: Sequence[str] = COLUMNS

    @property
    def assessed_by(self) -> datetime | None:
        """Until when assessments count: what was thought later was not known at K, and not stored at S."""
        return min((at for at in (self.known_at, self.stored_at) if at is not None), default=None)


def points(
    versions: VersionReader, feature: str, definition: int, asked: Asked, since: datetime | None, until: datetime | None
) -> Iterator[pa.RecordBatch]:
    """The points of one feature with since <= ts < until, in the order of ts; what is held in memory is bounded.

    Withdrawn points are left out, but for the vintage all, which tells of them too.
    """
    schema = pa.schema([VERSIONS.field(name) for name in asked.columns])
    names = {*KEY, "value", "available_basis", *asked.columns}
    # Once, and before the versions: often there are none, and then nothing is joined.
    assessments = versions.assessments(feature, since, until, asked.assessed_by) if "confidence" in names else None
    for rows in _pieces(versions, feature, since, until, names):
        of_definition = rows.filter(pc.field("version") == definition)
        chosen = eligible(of_definition, asked.known_at, asked.stored_at, strict=asked.strict)
        found = _VINTAGES[asked.vintage](chosen)
        if assessments is not None:
            found = with_confidence(found, assessments)
        yield from found.select(asked.columns).cast(schema).to_batches()


def _latest(rows: pa.Table) -> pa.Table:
    return newest_of_each(rows).filter(pc.field("value").is_valid())


def _first(rows: pa.Table) -> pa.Table:
    return oldest_of_each(rows.filter(pc.field("value").is_valid()))


def _all(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in KEY])


_VINTAGES: dict[Vintage, Callable[[pa.Table], pa.Table]] = {"latest": _latest, "first": _first, "all": _all}


def _pieces(
    versions: VersionReader, feature: str, since: datetime | None, until: datetime | None, columns: Collection[str]
) -> Iterator[pa.Table]:
    """All versions of a feature in tables that follow each other; all versions of a point are in one."""
    for start, end, is_ordered in _spans(versions, feature, since, until):
        reader = versions.read([feature], start, end, columns)
        if is_ordered:
            yield from _whole_points(reader)
        else:
            yield reader.read_all()


def _spans(
    versions: VersionReader, feature: str, since: datetime | None, until: datetime | None
) -> Iterator[tuple[datetime | None, datetime | None, bool]]:
    """The range in spans; what comes from Postgres alone comes ordered, what comes from the history does not."""
    begin = since
    for quarter in versions.archived_quarters(feature):
        end = quarter_of(quarter + timedelta(days=92))
        start, end = max(quarter, begin or quarter), min(end, until or end)
        if start < end:
            if begin is None or begin < start:
                yield begin, start, True
            yield start, end, False
            begin = end
    if begin is None or until is None or begin < until:
        yield begin, until, True


def _whole_points(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Batches of one feature in the order of KEY, cut where a point ends."""
    waiting = reader.schema.empty_table()
    for batch in reader:
        rows = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        is_last = pc.and_(pc.equal(rows["ts"], rows["ts"][-1]), pc.equal(rows["version"], rows["version"][-1]))
        waiting = rows.filter(is_last)
        yield rows.filter(pc.invert(is_last))
    yield waiting
