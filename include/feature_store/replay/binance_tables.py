"""Reading tables of candles: a year of minutes in a second or two, by Arrow."""

import csv
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from feature_store.errors import ReplayError
from feature_store.replay.binance_candles import DECIMALS, HOUR, MINUTE, Candles

COLUMNS = (
    "ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_base_volume",
    "taker_quote_volume",
)
WHOLE = ("ts", "trades")
SUMMED = COLUMNS[5:]
"""What an hour has the sum of its minutes of."""
BLOCK = 1 << 22
"""Bytes read at once."""
_PLACE = re.compile(r"In CSV column #(\d+): Row #(\d+): (.*)", re.DOTALL)


def load_minutes(path: Path) -> Candles:
    """A table of minutes; ReplayError says what is wrong with it."""
    return _rendered(path, _batches(path), MINUTE)


def load_hours(path: Path) -> Candles:
    """A table of hours; ReplayError says what is wrong with it."""
    return _rendered(path, _batches(path), HOUR)


def load_minutes_as_hours(path: Path) -> Candles:
    """A table of minutes, summed up by the hour; ReplayError says what is wrong with it."""
    return _rendered(path, _hours(path), HOUR)


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.int64() if name in WHOLE else pa.decimal128(28, DECIMALS)) for name in COLUMNS])


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv as pacsv

    header, schema = _header(path), _schema()
    types = {**dict(zip(COLUMNS, schema.types, strict=True)), "ts": pa.timestamp("ms", tz="UTC")}
    convert = pacsv.ConvertOptions(column_types=types, null_values=[], include_columns=COLUMNS)
    try:
        # A single thread, else an error does not know its row.
        with pacsv.open_csv(path, pacsv.ReadOptions(use_threads=False, block_size=BLOCK), None, convert) as reader:
            for batch in reader:
                _refuse_negative(path, batch)
                yield batch.set_column(0, "ts", batch["ts"].cast(pa.int64()))
    except pa.ArrowInvalid as error:
        raise ReplayError(_said(path, header, str(error))) from None


def _hours(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    minutes = pa.Table.from_batches(_batches(path), _schema())
    _refuse_disorder(path, minutes["ts"].to_numpy(), MINUTE)
    yield from _by_hour(minutes).to_batches()


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = [name.strip() for name in next(csv.reader(file), [])]
    if sorted(names) != sorted(COLUMNS):
        wrong = [name for name in COLUMNS if name not in names]
        fault = f"lacks column {wrong[0]!r}" if wrong else "has further columns"
        raise ReplayError(
            f"{path}:1: the header {fault}; a table of candles has {','.join(COLUMNS)}, each once "
            "(`feature-store replay convert` brings other tables into this shape)"
        )
    return names


def _said(path: Path, header: list[str], message: str) -> str:
    found = _PLACE.match(message)
    if not found:
        return f"{path}: {message}"
    column, row, why = header[int(found[1])], found[2], found[3]
    allowed = {"ts": "an instant with its zone (2024-01-31T16:30:00Z)", "trades": "a whole number"}.get(
        column, f"a decimal number of at most {DECIMALS} decimals"
    )
    return f"{path}:{row}: column {column!r}: {why}; allowed is {allowed}"


def _refuse_negative(path: Path, batch: Any) -> None:
    import pyarrow.compute as pc

    for name in COLUMNS[1:]:
        least = pc.min(batch[name]).as_py()
        if least is not None and least < 0:
            raise ReplayError(f"{path}: column {name!r} holds {least}; allowed are numbers from 0 on")


def _refuse_disorder(path: Path, opens: Any, period: int) -> None:
    import numpy as np

    for wrong, why in (
        (opens % period != 0, f"does not begin a candle of {period // 1000} seconds"),
        (np.diff(opens, prepend=-1) <= 0, "is not later than the row before; allowed is one row per candle, ascending"),
    ):
        if wrong.any():
            raise ReplayError(f"{path}:{int(wrong.argmax()) + 2}: column 'ts' {why}")


def _by_hour(table: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    opens = table["ts"].to_numpy()
    hours = opens - opens % HOUR
    first = np.flatnonzero(np.diff(hours, prepend=-1))
    last = np.append(first[1:], len(hours))[: len(first)] - 1
    sums = [(name, "sum") for name in SUMMED]
    grouped = (
        table.append_column("hour", pa.array(hours))
        .group_by("hour", use_threads=False)
        .aggregate([("high", "max"), ("low", "min"), *sums])
        .sort_by("hour")
    )
    columns = {"open": table["open"].take(first), "close": table["close"].take(last), "ts": grouped["hour"]}
    columns |= {"high": grouped["high_max"], "low": grouped["low_min"]}
    columns |= {name: grouped[f"{name}_sum"] for name in SUMMED}
    return pa.table([columns[name] for name in COLUMNS], COLUMNS)


def _rendered(path: Path, batches: Iterable[Any], period: int) -> Candles:
    import numpy as np
    import pyarrow as pa

    lines, ends, opens, trades = bytearray(), array("q"), array("q"), array("q")
    for batch in batches:
        text = _lines(batch, period)
        offsets = np.frombuffer(text.buffers()[1], np.int32, len(text) + 1, 4 * text.offset).astype(np.int64)
        ends.frombytes((offsets[1:] - offsets[0] + len(lines)).tobytes())
        lines += memoryview(text.buffers()[2])[offsets[0] : offsets[-1]]
        opens.frombytes(batch["ts"].to_numpy().tobytes())
        trades.frombytes(batch["trades"].to_numpy().tobytes())
    pa.default_memory_pool().release_unused()  # a server lives long
    _refuse_disorder(path, np.frombuffer(opens, np.int64), period)
    return Candles(period, opens, lines, ends, array("q", accumulate(trades)))


def _lines(batch: Any, period: int) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = {name: batch[name].cast(pa.string()) if name in WHOLE else _amounts(batch[name]) for name in COLUMNS}
    closes = pc.add(batch["ts"], period - 1).cast(pa.string())
    quoted = '","'
    parts = ["[", text["ts"], ',"', text["open"], quoted, text["high"], quoted, text["low"], quoted, text["close"]]
    parts += [quoted, text["volume"], '",', closes, ',"', text["quote_volume"], '",', text["trades"], ',"']
    parts += [text["taker_base_volume"], quoted, text["taker_quote_volume"], '","0"],']
    return pc.binary_join_element_wise(*parts, "")


def _amounts(decimals: Any) -> Any:
    """Eight decimals, always: the cast to text would write 0E-8."""
    import pyarrow as pa
    import pyarrow.compute as pc

    buffers, offset = decimals.buffers(), decimals.offset
    units = pa.Array.from_buffers(pa.decimal128(38, 0), len(decimals), buffers, offset=offset).cast(pa.string())
    return pc.binary_replace_slice(pc.ascii_lpad(units, DECIMALS + 1, "0"), -DECIMALS, -DECIMALS, ".")
