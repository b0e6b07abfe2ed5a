"""Tables that DuckDB reads only when a statement asks for them, and of which it reads only what can matter.

DuckDB hands the columns and the filter of a scan to whatever is a dataset of pyarrow, and relies on its filtering.
Which parts of a table cannot matter is found without reading any: of each part it is known what holds for all of its
rows, and pyarrow tells of which parts that contradicts the filter.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

Filter = Any
"""An expression of pyarrow over the columns of a table."""

Span = tuple[datetime | None, datetime | None]
"""since <= instant < until, midnights in UTC; None bounds nothing."""

MOST_SPANS = 16
"""Of more than these the range from the first to the last is read: each costs a query."""

_CUTS = 16
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Scan:
    """What a statement asks of a table."""

    schema: pa.Schema
    """Of the whole table."""
    asked: Collection[str]
    filter: Filter | None

    @cached_property
    def named(self) -> list[str]:
        """The columns that the filter names: without one of them it has no meaning."""
        if self.filter is None:
            return []
        return [name for at, name in enumerate(self.schema.names) if not self._has_meaning(self.schema.remove(at))]

    @cached_property
    def columns(self) -> list[str]:
        """What has to be read, in the order of the schema: the columns that are asked for, and those of the filter."""
        return [name for name in self.schema.names if name in self.asked or name in self.named]

    def values(self, column: str, known: Sequence[str]) -> list[str]:
        """Of all values that a column may have those that it may have in rows of the answer."""
        if column not in self.named:
            return list(known)
        admitted = self._admitted([pc.field(column) == value for value in known])
        return [value for value, is_admitted in zip(known, admitted, strict=True) if is_admitted]

    def spans(self, column: str) -> list[Span]:
        """In which days a column of instants or dates may lie in rows of the answer, in their order."""
        if column not in self.named or self._admitted([pc.field(column).is_null()])[0]:
            return [(None, None)]
        found = self._narrowed(column, [(None, _FIRST), (_FIRST, _LAST), (_LAST, None)])
        return found if len(found) <= MOST_SPANS else [(found[0][0], found[-1][1])]

    def _narrowed(self, column: str, spans: Sequence[Span]) -> list[Span]:
        """What the filter admits of spans that follow each other."""
        admitted = self._admitted([_within(self.schema.field(column), span) for span in spans])
        by_run = groupby(zip(admitted, spans, strict=True), key=lambda pair: pair[0])
        runs = [[span for _, span in run] for is_admitted, run in by_run if is_admitted]
        if len(runs) > MOST_SPANS:
            return [(run[0][0], run[-1][1]) for run in runs]
        return _joined(span for run in runs for span in self._edged(column, run))

    def _edged(self, column: str, run: Sequence[Span]) -> Iterator[Span]:
        """A run of spans, its first and its last narrowed."""
        first, last = run[0], run[-1]
        yield from self._cut(column, first)
        if len(run) > 1:
            yield first[1], last[0]
            yield from self._cut(column, last)

    def _cut(self, column: str, span: Span) -> list[Span]:
        since, until = span
        if since is None or until is None or until - since <= timedelta(days=1):
            return [span]
        step = timedelta(days=-(-(until - since).days // _CUTS))
        edges = [since]
        while edges[-1] < until:
            edges.append(min(edges[-1] + step, until))
        return self._narrowed(column, list(pairwise(edges)))

    def _admitted(self, parts: Sequence[Filter]) -> list[bool]:
        """For each part, by what holds for all of its rows, whether the filter may hold for one of them."""
        kind, files = ds.ParquetFileFormat(), LocalFileSystem()  # of files that nobody opens
        fragments = [kind.make_fragment(str(at), files, partition_expression=part) for at, part in enumerate(parts)]
        pieces = ds.FileSystemDataset(fragments, self.schema, kind, files)
        left = {int(fragment.path) for fragment in pieces.get_fragments(filter=self.filter)}
        return [at in left for at in range(len(parts))]

    def _has_meaning(self, schema: pa.Schema) -> bool:
        try:
            ds.Scanner.from_batches([], schema=schema, filter=self.filter)
        except pa.ArrowInvalid:
            return False
        return True


Read = Callable[[Scan], Iterator[pa.RecordBatch]]
"""Rows of a table with at least the columns of a scan, and at least those that its filter admits."""


class LazyTable(ds.Dataset):  # type: ignore[misc]
    """A table for DuckDB to register; `read` is called anew for each scan, and stopped when enough is read."""

    def __init__(self, schema: pa.Schema, read: Read) -> None:  # Dataset itself cannot be made
        self._schema = schema
        self._read = read

    @property
    def schema(self) -> pa.Schema:
        """The columns, which DuckDB asks for when it plans."""
        return self._schema

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002 - DuckDB calls it so
        **_: object,
    ) -> "_Scanner":
        """What DuckDB calls: exactly the rows that the filter admits, exactly the columns, in their order."""
        asked = self._schema.names if columns is None else list(columns)
        schema = pa.schema([self._schema.field(name) for name in asked])
        scan = Scan(self._schema, asked, filter)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self._read(scan):
                kept = batch if filter is None else batch.filter(filter)
                yield kept.select(asked).cast(schema)

        return _Scanner(pa.RecordBatchReader.from_batches(schema, batches()))


@dataclass(frozen=True)
class _Scanner:
    """As much of pyarrow's as DuckDB uses: pyarrow's own reads ahead."""

    reader: pa.RecordBatchReader

    def to_reader(self) -> pa.RecordBatchReader:
        return self.reader


def instant(moment: datetime, kind: pa.DataType) -> date:
    """A midnight as a column of that type has it: an instant, one without a zone, or a date."""
    if pa.types.is_date(kind):
        return moment.date()
    return moment if kind.tz else moment.replace(tzinfo=None)


def _within(column: pa.Field, span: Span) -> Filter:
    since, until = (None if edge is None else pa.scalar(instant(edge, column.type), column.type) for edge in span)
    field = pc.field(column.name)
    if since is None:
        return field < until
    return field >= since if until is None else (field >= since) & (field < until)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order without empty ones, those that touch made one."""
    found: list[Span] = []
    for since, until in spans:
        if found and found[-1][1] == since:
            found[-1] = (found[-1][0], until)
        elif since is None or since != until:
            found.append((since, until))
    return found
