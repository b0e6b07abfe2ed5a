"""Answers as they were read: rows held against the catalog, with their times, in the columns and the text of COPY.

In columns, for candles come by the million and every step that is taken once a row is felt.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from feature_store.catalog.contracts import SeriesSpec, normal_unit
from feature_store.errors import Malformed
from feature_store.sources.contract import Block, Row
from feature_store.warehouse.availability import Availability, of_instants, of_rows

NULL = "\\N"
SPECIAL = re.compile(r"[\\\t\n\r]")
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


@dataclass(frozen=True)
class Part:
    """Rows ready for COPY: the columns' names, and the lines."""

    names: tuple[str, ...]
    lines: str = field(repr=False)
    series: frozenset[str]
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Answer:
    """A landed answer that was read: its rows, or why it cannot be read. `fetched` counts repeated rows too."""

    fetch_id: int
    fetched: int = 0
    parts: Sequence[Part] = ()
    error: Malformed | None = None


def read(series: SeriesSpec, zone: str, fetch_id: int, parsed: Iterable[Row | Block]) -> Answer:
    """Take the rows of a landed answer from its parser, hold them against the catalog, say when each was available.

    `zone` is that of the stream's vintage dates. An answer that cannot be read, that says two things of one point, or
    that states a unit the catalog does not scale, is Malformed as a whole.
    """
    try:
        rows, blocks = _sorted_out(parsed)
        _check_units(series, rows)
        _check_keys(rows)
    except Malformed as error:
        return Answer(fetch_id, error=error)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        reason = f"the answer of fetch {fetch_id} has an unexpected shape: {error!r}"
        return Answer(fetch_id, error=Malformed(reason))
    parts = [_part(fetch_id, _columns_of_block(block), of_instants(series, block.ts)) for block in blocks]
    if news := _news(rows):
        parts.append(_part(fetch_id, _columns_of_rows(news), of_rows(series, zone, news)))
    return Answer(fetch_id, len(rows) + sum(len(block.ts) for block in blocks), parts)


def _sorted_out(parsed: Iterable[Row | Block]) -> tuple[list[Row], list[Block]]:
    """Rows, and blocks in which no instant comes twice."""
    rows: list[Row] = []
    blocks: list[Block] = []
    for item in parsed:
        if isinstance(item, Row):
            rows.append(item)
        elif len(set(item.ts)) == len(item.ts):
            blocks.append(item)
        else:
            rows += item.rows()
    return rows, blocks


def _columns_of_block(block: Block) -> dict[str, Sequence[Any]]:
    return {"series": [block.series] * len(block.ts), "ts": block.ts, **block.values}


def _columns_of_rows(rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
    columns: dict[str, Sequence[Any]] = {
        "series": [row.series for row in rows],
        "ts": [row.ts for row in rows],
        **{name: [row.values[name] for row in rows] for name in rows[0].values},
    }
    if any(row.vintage is not None for row in rows):
        columns["vintage_date"] = [row.vintage for row in rows]
    if any(row.unit is not None for row in rows):
        columns["unit"] = [row.unit for row in rows]
    return columns


def _part(fetch_id: int, columns: Mapping[str, Sequence[Any]], known: Availability) -> Part:
    every = {**columns, "fetch_id": [fetch_id] * len(columns["ts"]), **vars(known)}
    lines = "".join(f"{line}\n" for line in map("\t".join, zip(*map(_text, every.values()), strict=True)))
    return Part(tuple(every), lines, frozenset(columns["series"]), min(columns["ts"]), max(columns["ts"]))


def _text(column: Sequence[Any]) -> Iterable[str]:
    kinds = set(map(type, column))
    if kinds == {str}:
        return map(_escaped, column) if SPECIAL.search("\x1f".join(column)) else column
    if kinds == {datetime}:
        return map(datetime.isoformat, column)
    return [NULL if value is None else _escaped(str(value)) for value in column]


def _escaped(text: str) -> str:
    return SPECIAL.sub(lambda found: ESCAPED[found[0]], text)


def _check_units(series: SeriesSpec, rows: Sequence[Row]) -> None:
    if not series.units:
        return
    for unit in {row.unit for row in rows if row.unit is not None}:
        if normal_unit(unit) not in series.units:
            raise Malformed(
                f"{series.source_slug}/{series.stream}/{series.name} states the unit {unit!r}, and the catalog scales "
                f"only {list(series.units)} (features {list(series.feature_ids)}): if the source changed its unit, add "
                "the factor to `scale` in features.yaml"
            )


def _check_keys(rows: Sequence[Row]) -> None:
    seen: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        held = seen.setdefault((row.series, row.ts, row.vintage), row.values)
        if held is not row.values and held != row.values:
            raise Malformed(
                f"one answer gives {row.series} at {row.ts.isoformat()} twice: {dict(held)} and {dict(row.values)}"
            )


def _news(rows: Sequence[Row]) -> list[Row]:
    """Each key once, without what the source repeats from before the window."""
    return list({(row.series, row.ts, row.vintage): row for row in rows if not row.is_repeat}.values())
