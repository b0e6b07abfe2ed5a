"""What a connector takes and gives. A connector is a module of this package with two functions, no class:

    def fetch(http: Http, series: SeriesSpec, window: Window) -> Iterator[Payload]   # network, no meaning
    def parse(payload: Payload) -> Iterator[Row | Block]                             # pure: bytes to rows

and a constant `SECRET_PARAMS`, which names the query parameters that carry credentials and the setting of each.
`fetch` yields every answer before it reads it: whoever iterates lands the bytes first, redacts what is raised, and
lands the answer of a Malformed that came before its time.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from feature_store.errors import Malformed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """What to ask for: what became available from `since` (None: from the very beginning) up to `until`, UTC."""

    since: datetime | None
    until: datetime


@dataclass(frozen=True)
class Payload:
    """One answer, byte for byte. `params` and `url` carry no secrets; `context` is what parsing needs besides.

    `fetched_at` is when it arrived, UTC, by the store's clock: the `ts` of a snapshot that states no instant itself.
    """

    endpoint: str
    url: str
    params: Mapping[str, str]
    status: int
    content_type: str
    content: bytes = field(repr=False)
    elapsed_ms: int
    fetched_at: datetime
    context: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> Any:
        """The decoded body; raises Malformed when it is no JSON, saying what it looks like instead."""
        return self._decoded

    @cached_property
    def _decoded(self) -> Any:
        # Fetching reads it to find the next page, parsing reads it again.
        try:
            return json.loads(self.content, parse_float=Decimal)
        except ValueError as error:
            start = self.content[:60].decode("utf-8", "replace").strip()
            kind = "HTML" if start.startswith("<") else "truncated or broken JSON"
            raise Malformed(
                f"{self.url} answered {self.status} with {kind} where JSON was due ({error}); it starts {start!r}", self
            ) from None


Value = Decimal | str | int | datetime | None


class Row(NamedTuple):
    """One parsed value: the columns of the stream's raw table that the source determines.

    `ts` is UTC. `unit` is what the source itself states, if it does. `vintage` is the date, in the stream's zone, on
    which the source says this value appeared; `is_censored` marks the first vintage of an archive, whose values may
    be older than it. `is_repeat` marks a row that the source repeats from before the window: it says nothing new.
    """

    series: str
    ts: datetime
    values: Mapping[str, Value]
    unit: str | None = None
    vintage: date | None = None
    is_censored: bool = False
    is_repeat: bool = False


@dataclass(frozen=True)
class Block:
    """Many rows of one series at once, column by column: from a connector whose rows come by the million.

    `ts` (UTC) and every column of `values` are of equal length.
    """

    series: str
    ts: Sequence[datetime]
    values: Mapping[str, Sequence[Value]]

    def rows(self) -> list[Row]:
        """The same, row by row."""
        cells = zip(*self.values.values(), strict=True)
        return [
            Row(self.series, ts, dict(zip(self.values, row, strict=True)))
            for ts, row in zip(self.ts, cells, strict=True)
        ]


_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def decimal_in_text(value: Any) -> str:
    """A decimal that a source writes as text, as it is; raises Malformed for everything else, NaN and "" included."""
    if type(value) is not str or not _DECIMAL.fullmatch(value):
        raise Malformed(f"{value!r} is no number: a decimal in a text was due")
    return value


def is_count_in_text(value: Any) -> bool:
    """Whether this is a whole number in a text: of the digits 0 to 9 alone, which are not the only ones there are."""
    return type(value) is str and value.isascii() and value.isdecimal()


def check_fields(payload: Payload, row: Mapping[str, Any], known: frozenset[str]) -> None:
    """Hold a row against the fields we know: a missing one raises Malformed, an unknown one is a warning."""
    missing = known - row.keys()
    unknown = row.keys() - known
    if missing:
        raise Malformed(
            f"{payload.url}: a row lacks {sorted(missing)}; it has {sorted(row)}. Was a field renamed?",
            payload,
        )
    if unknown:
        logger.warning("%s: a row has unknown fields %s: read on without them", payload.url, sorted(unknown))
