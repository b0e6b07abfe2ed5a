"""Bring tables found elsewhere into the folder format, their columns found by their usual names."""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from feature_store.errors import ReplayError
from feature_store.replay.binance_tables import COLUMNS, load_hours, load_minutes
from feature_store.replay.folder import NUMBER, SAFE_NAME, check, parse_instant, plain

TS_NAMES = (
    "ts",
    "date",
    "observation_date",
    "as_of",
    "time_ms",
    "open_time",
    "open_time_ms",
    "fundingtime",
    "timestamp",
    "time",
)
SEEN_NAMES = ("seen_at", "seen_at_utc")
VINTAGE_NAME = "realtime_start"
AVAILABLE_NAMES = ("available_at", *SEEN_NAMES, VINTAGE_NAME)
NOTES = {"commit", "kind", "status", "realtime_end", "unit"}
"""Columns that are never the value."""
UNKNOWN_VALUES = {"", ".", "-", "nan", "null", "none", "na", "n/a"}
EPOCHS = {10: 1, 13: 1000, 16: 1_000_000}
"""Digits of a count since 1970, and how many of its units a second has."""
CANDLES = {("binance", "klines_1m"): load_minutes, ("binance", "klines_1h"): load_hours}
"""Streams of candles, and what reads their tables."""
CANDLE_NAMES = {
    "quote_volume": ("quote_volume", "quote_asset_volume"),
    "trades": ("trades", "count", "number_of_trades"),
    "taker_base_volume": ("taker_base_volume", "taker_buy_volume", "taker_buy_base_asset_volume"),
    "taker_quote_volume": ("taker_quote_volume", "taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
}
"""Further names of a candle's columns, those of Binance's bulk files among them."""
CENTRAL = ZoneInfo("America/Chicago")
NOON = time(12)
"""A vintage date has no hour; noon in St. Louis lies after the releases of the morning, and on that date."""


@dataclass(frozen=True)
class Reading:
    """How to read a table. An unset column is found by its name."""

    ts: str | None = None
    value: str | None = None
    available_at: str | None = None
    unit: str = ""
    """Stated for every row, where the table has no unit column."""
    factor: Decimal = Decimal(1)
    """What every value is multiplied with."""


@dataclass(frozen=True)
class Converted:
    """What `convert` wrote."""

    path: Path
    rows: int
    revisions: int
    """Rows that give a ts another value."""
    scheduled: int
    """Rows without available_at, which the catalog's release rule will date."""


@dataclass(frozen=True)
class _Row:
    number: int
    ts: datetime
    value: str
    available_at: datetime | None
    unit: str


def convert(source: Path, to: str, out: Path, reading: Reading = Reading()) -> Converted:
    """Write `source` (CSV, or .csv.gz) as `{out}/{to}.csv`, `to` being slug/stream/series.

    In a table of sightings (`seen_at`) the rows of the first one were published some time before it, so they
    get no available_at. ReplayError names the line and the column that is wrong.
    """
    parts = to.split("/")
    if len(parts) != 3 or not all(SAFE_NAME.fullmatch(part) for part in parts):
        raise ReplayError(f"--to is {to!r}; it must be slug/stream/series, for example fred/observations/WALCL")
    if (parts[0], parts[1]) in CANDLES:
        return _candles(source, out.joinpath(*parts[:2], f"{parts[2]}.csv"), CANDLES[parts[0], parts[1]], reading)
    with _opened(source) as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        found = _choose(source, header, reading, parts[2])
        rows = list(_rows(source, reader, header, found))
    if not rows:
        raise ReplayError(f"{source}: no rows under the header")
    if (found.available_at or "").lower() in SEEN_NAMES:
        rows = _uncensored(rows)
    rows = _distinct(source, rows)
    path = out.joinpath(*parts[:2], f"{parts[2]}.csv")
    _write(path, rows, reading.unit)
    scheduled = sum(row.available_at is None for row in rows)
    return Converted(path, check(path), len(rows) - len({row.ts for row in rows}), scheduled)


def write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Write a file of the folder in one step, so that the server never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)


def shown(instant: datetime) -> str:
    """An instant as the folder writes it: a date where it is midnight UTC."""
    if instant.timetz() == time(0, tzinfo=UTC):
        return instant.date().isoformat()
    return instant.isoformat().replace("+00:00", "Z")


@contextmanager
def _opened(source: Path) -> Iterator[TextIO]:
    try:
        if source.suffix == ".gz":
            with gzip.open(source, "rt", newline="", encoding="utf-8-sig") as file:
                yield file
        else:
            with source.open(newline="", encoding="utf-8-sig") as file:
                yield file
    except (FileNotFoundError, IsADirectoryError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ReplayError(f"{source} cannot be read as a CSV table: {error}") from error


def _choose(source: Path, header: list[str], reading: Reading, series: str) -> Reading:
    ts = reading.ts or _first(header, TS_NAMES)
    available = reading.available_at or _first(header, AVAILABLE_NAMES)
    value = reading.value or _first(header, ("value", series.lower()))
    rest = [name for name in header if name not in {ts, available} and name.lower() not in {*NOTES, *AVAILABLE_NAMES}]
    if value is None and len(rest) == 1:
        value = rest[0]
    for option, name in (("--ts", ts), ("--value", value), ("--available-at", available)):
        optional = option == "--available-at" and name is None
        if not optional and name not in header:
            asked = f"no column {name!r}" if name else "no column that is it for certain"
            raise ReplayError(f"{source}:1: {option}: {asked}; name one of {', '.join(header) or '(an empty header)'}")
    return replace(reading, ts=ts, value=value, available_at=available)


def _first(header: list[str], names: tuple[str, ...]) -> str | None:
    by_name = {name.lower(): name for name in reversed(header)}
    return next((by_name[name] for name in names if name in by_name), None)


def _rows(source: Path, reader: Iterator[list[str]], header: list[str], found: Reading) -> Iterator[_Row]:
    for number, cells in enumerate(reader, start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise ReplayError(f"{source}:{number}: {len(cells)} cells, but the header names {len(header)} columns")
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))

        def read(column: str | None, row: dict[str, str] = row, number: int = number) -> datetime:
            return _instant(source, number, column or "", row)

        available_at = None
        if found.available_at and row[found.available_at]:
            available_at = read(found.available_at)
            if found.available_at.lower() == VINTAGE_NAME:
                available_at = datetime.combine(available_at.date(), NOON, CENTRAL).astimezone(UTC)
        value = _value(source, number, found.value or "", row, found.factor)
        yield _Row(number, read(found.ts), value, available_at, row.get("unit", ""))


def _instant(source: Path, number: int, column: str, row: dict[str, str]) -> datetime:
    text = row[column]
    try:
        if text.isdecimal() and len(text) in EPOCHS:
            return datetime.fromtimestamp(int(text) / EPOCHS[len(text)], UTC)
        return parse_instant(text)
    except ValueError:
        raise ReplayError(
            f"{source}:{number}: column {column!r} holds {text!r}; allowed are 2024-01-31, "
            "2024-01-31T16:30:00Z and seconds, milliseconds or microseconds since 1970"
        ) from None


def _value(source: Path, number: int, column: str, row: dict[str, str], factor: Decimal) -> str:
    text = row[column]
    if text.lower() in UNKNOWN_VALUES:
        return ""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise ReplayError(f"{source}:{number}: column {column!r} holds {text!r}; allowed is a decimal number, or empty")
    # Unscaled, the source's own spelling is kept: FRED writes 270 and 268.0 in one answer.
    return text if factor == 1 and NUMBER.fullmatch(text) else plain(value * factor)


def _candles(source: Path, path: Path, load: Callable[[Path], Any], reading: Reading) -> Converted:
    """A table of candles. What it lacks is estimated (the quote volume, at the mean price) or 0."""
    if replace(reading, ts=None) != Reading():
        raise ReplayError(
            "a table of candles has its columns found by their names; of the options --ts alone is for it"
        )
    rows: dict[datetime, tuple[str, ...]] = {}
    with _opened(source) as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        found = {name: _first(header, CANDLE_NAMES.get(name, (name,))) for name in COLUMNS[1:]}
        ts = reading.ts or _first(header, TS_NAMES)
        missing = [name for name in COLUMNS[1:6] if found[name] is None] + ["ts"] * (ts not in header)
        if missing:
            raise ReplayError(f"{source}:1: no column {missing[0]!r} among {', '.join(header) or '(an empty header)'}")
        for number, cells in enumerate(reader, start=2):
            if len(cells) != len(header):
                raise ReplayError(f"{source}:{number}: {len(cells)} cells, but the header names {len(header)} columns")
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            opened = _instant(source, number, ts or "", row)
            if opened in rows:
                raise ReplayError(f"{source}:{number}: a second candle of {shown(opened)}; allowed is one")
            rows[opened] = tuple(_candle(source, number, found, row))
    if not rows:
        raise ReplayError(f"{source}: no rows under the header")
    write_csv(path, COLUMNS, ((f"{opened:%Y-%m-%dT%H:%M:%SZ}", *rows[opened]) for opened in sorted(rows)))
    load(path)
    return Converted(path, len(rows), 0, 0)


def _candle(source: Path, number: int, found: dict[str, str | None], row: dict[str, str]) -> Iterator[str]:
    for name, column in found.items():
        if column is not None:
            value = _value(source, number, column, row, Decimal(1))
            if not value:
                raise ReplayError(
                    f"{source}:{number}: column {column!r} is empty; a candle is whole, or its row absent"
                )
            yield value
        elif name == "quote_volume":
            prices = [Decimal(row[found[price] or ""]) for price in ("open", "high", "low", "close")]
            yield plain(round(Decimal(row[found["volume"] or ""]) * sum(prices) / 4, 8))
        else:
            yield "0"


def _uncensored(rows: list[_Row]) -> list[_Row]:
    first = min(row.available_at for row in rows if row.available_at)
    return [
        _Row(row.number, row.ts, row.value, None if row.available_at == first else row.available_at, row.unit)
        for row in rows
    ]


def _distinct(source: Path, rows: list[_Row]) -> list[_Row]:
    held: dict[tuple[datetime, datetime | None], _Row] = {}
    for row in rows:
        other = held.setdefault((row.ts, row.available_at), row)
        if other.value != row.value:
            raise ReplayError(
                f"{source}:{row.number}: ts {shown(row.ts)} has the value {row.value!r} here and "
                f"{other.value!r} in line {other.number}; "
                "several values of one ts need different instants (--available-at)"
            )
    return sorted(held.values(), key=lambda row: (row.ts, row.available_at or datetime.min.replace(tzinfo=UTC)))


def _write(path: Path, rows: list[_Row], unit: str) -> None:
    with_available = any(row.available_at for row in rows)
    with_unit = bool(unit) or any(row.unit for row in rows)
    header = ("ts", "value", *(["available_at"] * with_available), *(["unit"] * with_unit))
    table = [
        (
            shown(row.ts),
            row.value,
            *([row.available_at.isoformat().replace("+00:00", "Z") if row.available_at else ""] * with_available),
            *([unit or row.unit] * with_unit),
        )
        for row in rows
    ]
    write_csv(path, header, table)
