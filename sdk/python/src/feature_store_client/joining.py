"""The point-in-time join: a spine goes out in parts, and comes back with a column for each feature."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from feature_store_client import frames
from feature_store_client.instants import Instant, MaxAge, duration, instant
from feature_store_client.progress import Progress, Report, reported
from feature_store_client.reading import ids_of
from feature_store_client.results import JoinedPoint, JoinedRow, JoinedRows
from feature_store_client.spines import spine_table, written
from feature_store_client.wire import ARROW, Answer, Flow, Request, instants, params, read_arrow, records, snake

if TYPE_CHECKING:
    import pandas as pd

PART = 50_000
"""How many rows of a spine a request carries."""


def historical(
    spine: Any,
    feature_ids: Sequence[str] | str,
    *,
    max_age: MaxAge | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    detail: bool = False,
    progress: Report | bool | None = None,
) -> Flow[JoinedRows]:
    """For each row of the spine the newest point of each feature whose period was over at `at`, as it was known then.

    A spine is a list of instants, a pandas DataFrame or an Arrow table with a column `at` (and `as_of`, where something
    else than what was known at `at` is asked), or a pandas Index. `max_age` leaves out what was older at `at`, closed
    time apart: one duration for all, or by feature. `detail` adds which point each value is of.
    """
    ids = ids_of(feature_ids)
    table = yield from historical_arrow(
        spine, ids, max_age=max_age, as_stored=as_stored, strict=strict, detail=detail, progress=progress
    )
    return JoinedRows(_rows(table, ids, detail=detail), frames.backfilled_share(table))


def historical_arrow(
    spine: Any,
    feature_ids: Sequence[str] | str,
    *,
    max_age: MaxAge | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    detail: bool = False,
    progress: Report | bool | None = None,
) -> Flow[pa.Table]:
    """As `historical`, as an Arrow table: at, as_of and a column for each feature. See `backfilled_share`."""
    ids, rows = ids_of(feature_ids), spine_table(spine)
    asked = params(
        feature_ids=ids,
        as_stored=instant("as_stored", as_stored),
        strict=strict,
        detail=detail,
        max_age=_ages(max_age),
    )
    tables, shares = [], []
    with reported(progress) as tell:
        for part in _parts(rows):
            answer = yield Request("POST", "/v1/historical", asked, ARROW, written(part), {"Content-Type": ARROW})
            tables.append(_snaked(read_arrow(answer), ids))
            shares.append(_share(answer))
            done = sum(table.num_rows for table in tables)
            tell(Progress(done, done / rows.num_rows if rows.num_rows else 1.0))
    return frames.with_share(pa.concat_tables(tables), _shares(ids, tables, shares))


def historical_pandas(
    spine: Any,
    feature_ids: Sequence[str] | str,
    *,
    max_age: MaxAge | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    detail: bool = False,
    progress: Report | bool | None = None,
) -> "Flow[pd.DataFrame]":
    """As `historical`, as a pandas DataFrame; a spine that is one keeps its index and its other columns.

    Its `attrs` hold `backfilled_share`. Needs pandas: pip install 'feature-store-client[pandas]'.
    """
    frames.require_pandas()
    table = yield from historical_arrow(
        spine, feature_ids, max_age=max_age, as_stored=as_stored, strict=strict, detail=detail, progress=progress
    )
    frame = frames.beside(spine, table)
    frame.attrs["backfilled_share"] = frames.backfilled_share(table)
    return frame


def _parts(spine: pa.Table) -> Iterator[pa.Table]:
    """An empty spine is a part, too: its answer has columns."""
    for start in range(0, max(spine.num_rows, 1), PART):
        yield spine.slice(start, PART)


def _ages(max_age: MaxAge | None) -> str | None:
    if isinstance(max_age, Mapping):
        return json.dumps({name: duration(age) for name, age in max_age.items()})
    return None if max_age is None else duration(max_age)


def _snaked(table: pa.Table, ids: Sequence[str]) -> pa.Table:
    """Our names for the columns; those of features are names already, before a dot if there is one."""
    names = []
    for name in table.column_names:
        feature = next((each for each in ids if name == each or name.startswith(f"{each}.")), "")
        names.append(feature + snake(name.removeprefix(feature)))
    return table.rename_columns(names)


def _share(answer: Answer) -> Mapping[str, float]:
    found: Mapping[str, float] = json.loads(answer.headers.get("backfilled-share", "{}"))
    return found


def _shares(
    ids: Sequence[str], tables: Sequence[pa.Table], shares: Sequence[Mapping[str, float]]
) -> Mapping[str, float]:
    """Of all parts together: each counts by how many values it has."""
    found = {}
    for name in ids:
        counts = [table.num_rows - table[name].null_count for table in tables]
        backfilled = sum(share.get(name, 0.0) * count for share, count in zip(shares, counts, strict=True))
        found[name] = backfilled / sum(counts) if sum(counts) else 0.0
    return found


def _rows(table: pa.Table, ids: Sequence[str], *, detail: bool) -> Iterator[JoinedRow]:
    at = instants(table["at"])
    as_of = instants(table["as_of"]) if "as_of" in table.column_names else [None] * len(at)
    values = zip(*(table[name].to_pylist() for name in ids), strict=True)
    points = zip(*(_points(table, name) for name in ids), strict=True) if detail else iter([None] * len(at))
    for when, known, row, of_row in zip(at, as_of, values, points, strict=True):
        assert when is not None
        yield JoinedRow(
            when,
            known,
            dict(zip(ids, row, strict=True)),
            None if of_row is None else dict(zip(ids, of_row, strict=True)),
        )


def _points(table: pa.Table, feature: str) -> list[JoinedPoint | None]:
    names = ("ts", "valid_at", "available_at", "available_basis")
    found = records(JoinedPoint, pa.table({name: table[f"{feature}.{name}"] for name in names}))
    return [point if point.ts is not None else None for point in found]
