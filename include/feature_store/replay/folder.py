"""The folder the replay answers from: `<folder>/<slug>/<stream>/<series>.csv`, one file per series.

Columns `ts,value`, optionally `available_at` and `unit`; docs/replay.md is the reference. Tables with other columns
are read by their source's own loader.
"""

import csv
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from feature_store.errors import CatalogError, ReplayError
from feature_store.replay.schedule import Schedule

COLUMNS = ("ts", "value", "available_at", "unit")
FURTHER = {
    "funding_rate": ("mark_price",),
    "stablecoincharts": ("peggedUSD_units", "peggedEUR_usd", "peggedEUR_units", "peggedJPY_usd", "peggedJPY_units"),
}
"""Numbers that a stream states beside the value: column names by stream."""
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INSTANT = "a date (2024-01-31) or an instant with its zone (2024-01-31T16:30:00Z)"


@dataclass(frozen=True, slots=True)
class Row:
    """One value as the source stated it from `available_at` on; an empty value is its "not known"."""

    ts: datetime
    value: str
    available_at: datetime
    unit: str
    further: dict[str, str] = field(default_factory=dict)
    """What the stream states beside the value, in the columns that the table has."""


@dataclass(frozen=True, eq=False)
class History:
    """Everything a source will ever say about one series, in the order in which it says it."""

    series: str
    rows: tuple[Row, ...]
    available: tuple[datetime, ...]

    def visible(self, now: datetime) -> int:
        """How many rows, from the front, the source has published at `now`."""
        return bisect_right(self.available, now)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    ts: datetime
    value: str
    available_at: datetime | None
    unit: str
    further: dict[str, str]


T = TypeVar("T")


class Folder:
    """The series under one directory, parsed when asked for and again when a file changes."""

    def __init__(self, root: Path, schedule: Schedule) -> None:
        self.root = root
        self._schedule = schedule
        self._parsed: dict[tuple[Path, Callable[[Path], Any]], tuple[tuple[int, int], Any]] = {}
        self._lock = threading.Lock()

    def history(self, slug: str, stream: str, series: str) -> History | None:
        """The series' history, `None` where there is no such file; ReplayError where the file is wrong."""
        return self.read(slug, stream, series, self._history)

    def read(self, slug: str, stream: str, series: str, load: Callable[[Path], T]) -> T | None:
        """What `load` makes of the series' file, `None` where there is no such file; `load`'s ReplayError."""
        if not SAFE_NAME.fullmatch(series):
            return None
        path = self.root / slug / stream / f"{series}.csv"
        with self._lock:
            try:
                stat = path.stat()
            except FileNotFoundError:
                return None
            stamp = (stat.st_mtime_ns, stat.st_size)
            held = self._parsed.get((path, load))
            if held is None or held[0] != stamp:
                self._parsed.pop((path, load), None)  # before the next one is loaded: some are large
                held = (stamp, load(path))
                self._parsed[path, load] = held
            parsed: T = held[1]
            return parsed

    def calendar(self, slug: str, stream: str, series: str) -> str | None:
        """The calendar of the series, `None` where the catalog does not know it."""
        return self._schedule.calendar(slug, stream, series)

    def names(self, slug: str, stream: str) -> list[str]:
        """The series that a stream has files for, in their order."""
        return sorted(path.stem for path in (self.root / slug / stream).glob("*.csv"))

    def _history(self, path: Path) -> History:
        slug, stream, series = path.parts[-3], path.parts[-2], path.stem
        lines = list(_lines(path))
        censored = [line.ts for line in lines if line.available_at is None]
        try:
            releases = self._schedule.releases(slug, stream, series, censored) if censored else []
        except CatalogError as error:
            raise ReplayError(f"{path}: column 'available_at' is empty and the release rule fails: {error}") from error
        if releases is None:
            number = next(line.number for line in lines if line.available_at is None)
            raise ReplayError(
                f"{path}:{number}: column 'available_at' is empty and the catalog knows no "
                f"{slug}/{stream}/{series}, hence no release rule; give every row its available_at: {INSTANT}"
            )
        release = iter(releases)
        unit = self._schedule.unit(slug, stream, series) or ""
        rows = [
            Row(line.ts, line.value, line.available_at or next(release), line.unit or unit, line.further)
            for line in lines
        ]
        _refuse_ambiguous(path, lines, rows)
        rows.sort(key=lambda row: (row.available_at, row.ts))
        return History(series, tuple(rows), tuple(row.available_at for row in rows))


def plain(number: Decimal) -> str:
    """A number as text: no exponent, no trailing zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def check(path: Path) -> int:
    """Read one file for its form alone and return its number of rows; ReplayError says what is wrong."""
    return sum(1 for _ in _lines(path))


def parse_instant(text: str) -> datetime:
    """A date is midnight UTC; anything with a time must state its zone; else ValueError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        if len(text) > len("2024-01-31"):
            raise ValueError("no zone")
        return instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _lines(path: Path) -> Iterator[_Line]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        further = FURTHER.get(path.parent.name, ())
        place = _header(path, next(reader, []), further)
        width = len(place)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != width:
                raise ReplayError(f"{path}:{reader.line_num}: {len(cells)} cells, but the header names {width} columns")
            yield _line(path, reader.line_num, {name: cells[at].strip() for name, at in place.items()}, further)


def _header(path: Path, names: list[str], further: tuple[str, ...]) -> dict[str, int]:
    place = {name.strip(): at for at, name in enumerate(names)}
    missing = [name for name in ("ts", "value") if name not in place]
    unknown = [name for name in place if name not in (*COLUMNS, *further)]
    if missing or unknown or len(place) != len(names):
        fault = f"lacks column {missing[0]!r}" if missing else f"has the column {(unknown or names)[-1]!r}"
        optional = ",".join((*COLUMNS[2:], *further))
        raise ReplayError(
            f"{path}:1: the header {fault}; allowed are ts,value and optionally {optional}, each once "
            "(`feature-store replay convert` brings other tables into this shape)"
        )
    return place


def _line(path: Path, number: int, cells: dict[str, str], further: tuple[str, ...]) -> _Line:
    numbers = {name: cells[name] for name in ("value", *further) if name in cells}
    for column, text in numbers.items():
        if text and not NUMBER.fullmatch(text):
            raise _wrong(path, number, column, text, "a decimal number, or empty for 'not known'")
    available_at = cells.get("available_at", "")
    return _Line(
        number,
        _instant(path, number, "ts", cells["ts"]),
        numbers.pop("value"),
        _instant(path, number, "available_at", available_at) if available_at else None,
        cells.get("unit", ""),
        numbers,
    )


def _instant(path: Path, number: int, column: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise _wrong(path, number, column, text, INSTANT) from None


def _wrong(path: Path, number: int, column: str, text: str, allowed: str) -> ReplayError:
    return ReplayError(f"{path}:{number}: column {column!r} holds {text!r}; allowed is {allowed}")


def _refuse_ambiguous(path: Path, lines: list[_Line], rows: list[Row]) -> None:
    seen: dict[tuple[datetime, datetime], int] = {}
    for line, row in zip(lines, rows, strict=True):
        first = seen.setdefault((row.ts, row.available_at), line.number)
        if first != line.number:
            raise ReplayError(
                f"{path}:{line.number}: column 'available_at' gives ts {row.ts.isoformat()} a second value "
                f"at {row.available_at.isoformat()} (line {first} has the first); allowed is one per instant"
            )
