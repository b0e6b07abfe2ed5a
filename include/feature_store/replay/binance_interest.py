"""Tables of open interest: `ts,sum_open_interest,sum_open_interest_value`, a row every five minutes."""

import csv
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feature_store.errors import ReplayError
from feature_store.replay.folder import INSTANT, parse_instant

COLUMNS = ("ts", "sum_open_interest", "sum_open_interest_value")
NUMBER = re.compile(r"\d+(\.\d+)?")
"""As Binance writes one, for it is served as it is written."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Interests:
    """All rows of one symbol, ascending, those of the future too: times in ms since 1970, numbers as written."""

    times: list[int]
    amounts: list[str]
    """In base coins."""
    values: list[str]
    """In the quote currency."""

    def visible(self, now: int) -> int:
        """How many rows there are at `now` (ms)."""
        return bisect_right(self.times, now)

    def row(self, symbol: str, at: int) -> dict[str, str | int]:
        """A row as Binance states it."""
        return {
            "symbol": symbol,
            "sumOpenInterest": self.amounts[at],
            "sumOpenInterestValue": self.values[at],
            "timestamp": self.times[at],
        }


def load_interests(path: Path) -> Interests:
    """A table of open interest; ReplayError says what is wrong with it."""
    found = Interests([], [], [])
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = tuple(name.strip() for name in next(reader, []))
        if header != COLUMNS:
            raise ReplayError(f"{path}:1: the header is {','.join(header)!r}; allowed is {','.join(COLUMNS)}")
        for cells in filter(None, reader):
            place = f"{path}:{reader.line_num}"
            if len(cells) != len(COLUMNS):
                raise ReplayError(f"{place}: {len(cells)} cells, but there are {len(COLUMNS)} columns")
            try:
                ts = (parse_instant(cells[0]) - EPOCH) // timedelta(milliseconds=1)
            except ValueError:
                raise ReplayError(f"{place}: column 'ts' holds {cells[0]!r}; allowed is {INSTANT}") from None
            for column, text in zip(COLUMNS[1:], cells[1:], strict=True):
                if not NUMBER.fullmatch(text):
                    raise ReplayError(
                        f"{place}: column {column!r} holds {text!r}; allowed is a decimal number, without exponent"
                    )
            if found.times and ts <= found.times[-1]:
                raise ReplayError(f"{place}: column 'ts' is not later than the row before")
            found.times.append(ts)
            found.amounts.append(cells[1])
            found.values.append(cells[2])
    return found
