"""Reading in pages that fit together: a cursor holds what was stored of each feature when the first page was read.

Writers stamp what they append with instants that ascend within a feature, and not across features: one instant for all
could let in what was stamped before it and committed after the first page. So each feature is held at its own last one.
"""

import base64
import hashlib
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.serving.api.asked import QueryAsked
from feature_store.serving.api.problems import invalid
from feature_store.serving.api.wire import micros
from feature_store.serving.points import POINTS
from feature_store.serving.query import QueryLayer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Page:
    """Points of a page as POINTS, and where the next one begins; instants are UTC."""

    points: pa.Table
    next_cursor: str | None
    as_stored: datetime
    """The state that all its pages are of."""
    now: datetime
    """The store's now."""

    @property
    def backfilled_share(self) -> float:
        """What share of the page's values was backfilled, 0 to 1."""
        backfilled = pc.sum(pc.equal(self.points["available_basis"], "backfilled")).as_py() or 0
        return backfilled / self.points.num_rows if self.points.num_rows else 0.0


@dataclass(frozen=True)
class _Place:
    """Where a page begins, and the state it is read in."""

    feature: int
    """Which of the features asked for."""
    since: datetime | None
    skip: int
    """How many versions of the point at `since` were told already."""
    stored: list[datetime | None]
    """Of each feature the instant that it is held at; None for one without rows."""

    def cursor(self, asked: QueryAsked) -> str:
        told = [self.feature, _micros(self.since), self.skip, [_micros(at) for at in self.stored]]
        text = json.dumps(told, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_digest(asked, text) + text).decode().rstrip("=")

    @classmethod
    def of(cls, asked: QueryAsked) -> "_Place":
        """The place that the cursor names; raises Problem invalid-request unless it was given for that question."""
        assert asked.cursor is not None
        try:
            content = base64.b64decode(asked.cursor + "=" * (-len(asked.cursor) % 4), b"-_", validate=True)
            digest, text = content[:16], content[16:]
            if digest != _digest(asked, text):
                raise ValueError
            feature, since, skip, stored = json.loads(text)
            place = cls(int(feature), _instant(since), int(skip), [_instant(at) for at in stored])
            if not (0 <= place.feature < len(asked.feature_ids) == len(stored) and place.skip >= 0):
                raise ValueError
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise invalid(
                "query.cursor", "is no cursor of this question: send `nextCursor` as it came, with the same parameters"
            ) from None
        return place


def read_page(layer: QueryLayer, asked: QueryAsked) -> Page:
    """The page that begins at the cursor, or the first; no more than a point beyond it is read.

    Raises Problem invalid-request for a cursor of another question, and what the query layer raises.
    """
    now, written = layer.written(asked.feature_ids)
    place = _Place.of(asked) if asked.cursor is not None else _first(asked, written)
    rows = _gathered(layer, asked, place)
    page = rows.slice(0, asked.limit)
    following = _following(asked, place, rows).cursor(asked) if rows.num_rows > asked.limit else None
    held = max((at for at in place.stored if at is not None), default=now)
    return Page(page, following, asked.as_stored or held, now)


def _first(asked: QueryAsked, written: dict[str, datetime]) -> _Place:
    stored = [written.get(name) for name in asked.feature_ids]
    if asked.as_stored is not None:
        stored = [None if at is None else min(at, asked.as_stored) for at in stored]
    return _Place(0, asked.since, 0, stored)


def _gathered(layer: QueryLayer, asked: QueryAsked, place: _Place) -> pa.Table:
    """The rows of a page and, where there is one, the row after them."""
    found, wanted = [], asked.limit + 1
    with closing(_batches(layer, asked, place)) as batches:
        for batch in batches:
            found.append(batch.slice(0, wanted))
            wanted -= found[-1].num_rows
            if not wanted:
                break
    return pa.Table.from_batches(found, POINTS)


def _batches(layer: QueryLayer, asked: QueryAsked, place: _Place) -> Generator[pa.RecordBatch, None, None]:
    skip = place.skip
    for number in range(place.feature, len(asked.feature_ids)):
        stored = place.stored[number]
        since = place.since if number == place.feature else asked.since
        if stored is None:
            continue
        state: dict[str, Any] = {"as_of": asked.as_of, "as_stored": stored, "strict": asked.strict}
        with layer.stream([asked.feature_ids[number]], since, asked.until, **state, vintage=asked.vintage) as batches:
            for batch in batches:
                told = min(skip, batch.num_rows)
                skip -= told
                yield batch.slice(told)


def _following(asked: QueryAsked, place: _Place, rows: pa.Table) -> _Place:
    """Where the last of the rows lies: it is of the next page."""
    last = rows.slice(asked.limit, 1)
    feature, ts = last["feature_id"][0].as_py(), last["ts"][0].as_py()
    page = rows.slice(0, asked.limit)
    of_point = pc.and_(pc.equal(page["feature_id"], feature), pc.equal(page["ts"], last["ts"][0]))
    told = pc.sum(of_point).as_py() or 0
    number = asked.feature_ids.index(feature)
    if number == place.feature and ts == place.since:
        told += place.skip
    return _Place(number, ts, told, place.stored)


def _digest(asked: QueryAsked, text: bytes) -> bytes:
    """Ties a cursor to its question: it says nothing that parameters could not, so it needs no secret."""
    question = asked.model_dump_json(exclude={"cursor", "limit"}).encode()
    return hashlib.sha256(question + b"\n" + text).digest()[:16]


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + micros * _MICROSECOND
