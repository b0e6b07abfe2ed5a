"""Points of a range: page after page, in whatever form is wanted. On the wire they are always Arrow."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from feature_store_client import frames
from feature_store_client.errors import InvalidRequest, UnexpectedAnswer
from feature_store_client.instants import Bound, Instant, bound, instant, read_instant
from feature_store_client.progress import Progress, Report, reported
from feature_store_client.results import FeaturePoint, Points
from feature_store_client.wire import (
    ARROW,
    Answer,
    Flow,
    Item,
    Request,
    Stream,
    instants,
    params,
    read_arrow,
    records,
    snake_columns,
)

if TYPE_CHECKING:
    import pandas as pd

Vintage = Literal["latest", "first", "all"]
"""Of each ts the newest version, the first, or all of them, withdrawals included."""

PAGE = 20_000
"""How many points a request asks for: a page is a few megabytes, and comes in a second."""


def query_feature_points(
    feature_ids: Sequence[str] | str,
    since: Bound | None = None,
    until: Bound | None = None,
    *,
    as_of: Instant | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    vintage: Vintage = "latest",
    limit: int | None = None,
    progress: Report | bool | None = None,
) -> Flow[Points]:
    """Points with since <= ts < until, by feature in the order asked, then by ts.

    As they are known now; with `as_of` as they were known then, with `as_stored` as the store held them then. `strict`
    counts a backfilled value as known only from when the store ingested it. `limit` bounds how many points come.
    """
    pages = _Pages(feature_ids, since, until, as_of, as_stored, strict=strict, vintage=vintage, limit=limit)
    table = yield from _read(pages, progress)
    missing = set(pages.feature_ids) - set(pc.unique(table["feature_id"]).to_pylist())
    unread = [] if pages.is_cut else [name for name in pages.feature_ids if name in missing]
    return Points(records(FeaturePoint, table), missing=unread)


def query_arrow(
    feature_ids: Sequence[str] | str,
    since: Bound | None = None,
    until: Bound | None = None,
    *,
    as_of: Instant | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    vintage: Vintage = "latest",
    limit: int | None = None,
    progress: Report | bool | None = None,
) -> Flow[pa.Table]:
    """As `query_feature_points`, as an Arrow table; meta and evidence are JSON. See `backfilled_share`."""
    pages = _Pages(feature_ids, since, until, as_of, as_stored, strict=strict, vintage=vintage, limit=limit)
    return (yield from _read(pages, progress))


def query_pandas(
    feature_ids: Sequence[str] | str,
    since: Bound | None = None,
    until: Bound | None = None,
    *,
    wide: bool = False,
    as_of: Instant | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    vintage: Vintage = "latest",
    limit: int | None = None,
    progress: Report | bool | None = None,
) -> "Flow[pd.DataFrame]":
    """As `query_feature_points`, as a pandas DataFrame: a row a point; `wide`, a row a ts and a column a feature.

    Its `attrs` hold `backfilled_share`. Needs pandas: pip install 'feature-store-client[pandas]'.
    """
    frames.require_pandas()
    if wide and vintage == "all":
        raise InvalidRequest("wide has one value for each ts, and vintage='all' has several: choose one of them")
    pages = _Pages(feature_ids, since, until, as_of, as_stored, strict=strict, vintage=vintage, limit=limit)
    table = yield from _read(pages, progress)
    frame = frames.wide(table, pages.feature_ids) if wide else table.to_pandas()
    frame.attrs["backfilled_share"] = frames.backfilled_share(table)
    return frame


def iter_arrow_batches(
    feature_ids: Sequence[str] | str,
    since: Bound | None = None,
    until: Bound | None = None,
    *,
    as_of: Instant | None = None,
    as_stored: Instant | None = None,
    strict: bool = True,
    vintage: Vintage = "latest",
    limit: int | None = None,
    progress: Report | bool | None = None,
) -> Stream[pa.RecordBatch]:
    """As `query_arrow`, batch by batch: no more than a page is in memory, however long the range."""
    pages = _Pages(feature_ids, since, until, as_of, as_stored, strict=strict, vintage=vintage, limit=limit)
    with reported(progress) as tell:
        while (request := pages.next()) is not None:
            answer = yield request
            assert answer is not None
            table = pages.take(answer)
            tell(pages.progress())
            for batch in table.to_batches():
                yield Item(batch)


def _read(pages: "_Pages", progress: Report | bool | None) -> Flow[pa.Table]:
    """All pages as one table."""
    tables = []
    with reported(progress) as tell:
        while (request := pages.next()) is not None:
            tables.append(pages.take((yield request)))
            tell(pages.progress())
    table = pa.concat_tables(tables)
    backfilled = pc.sum(pc.equal(table["available_basis"], "backfilled")).as_py() or 0
    return frames.with_share(table, backfilled / table.num_rows if table.num_rows else 0.0)


class _Pages:
    """A read under way: which page to ask for next, and how far it has come."""

    def __init__(
        self,
        feature_ids: Sequence[str] | str,
        since: Bound | None,
        until: Bound | None,
        as_of: Instant | None,
        as_stored: Instant | None,
        *,
        strict: bool,
        vintage: Vintage,
        limit: int | None,
    ) -> None:
        self.feature_ids = ids_of(feature_ids)
        if limit is not None and limit < 1:
            raise InvalidRequest(f"limit is {limit}: ask for one point at least, or leave it out for all")
        self._range = (bound("since", since), bound("until", until))
        self._params = params(
            feature_ids=self.feature_ids,
            since=self._range[0],
            until=self._range[1],
            as_of=instant("as_of", as_of),
            as_stored=instant("as_stored", as_stored),
            strict=strict,
            vintage=vintage,
        )
        self._limit = limit
        self._cursor: str | None = None
        self._last: tuple[str, datetime] | None = None
        self._rows = 0
        self._is_over = False
        self.is_cut = False
        """Whether there are more points than the limit let through."""

    def next(self) -> Request | None:
        """The request for the next page; None after the last."""
        if self._is_over:
            return None
        page = PAGE if self._limit is None else min(PAGE, self._limit - self._rows)
        return Request("GET", "/v1/query", [*self._params, *params(limit=page, cursor=self._cursor)], ARROW)

    def take(self, answer: Answer) -> pa.Table:
        """The points of the page that was asked for."""
        table = snake_columns(read_arrow(answer))
        following = _cursor(answer.headers.get("link", ""))
        if following is not None and (following == self._cursor or not table.num_rows):
            raise UnexpectedAnswer("a page leads on to itself")
        self._cursor = following
        self._rows += table.num_rows
        self.is_cut = following is not None and self._rows == self._limit
        self._is_over = following is None or self.is_cut
        if table.num_rows:
            last = table.slice(table.num_rows - 1)
            self._last = (last["feature_id"][0].as_py(), instants(last["ts"])[0])  # type: ignore[assignment]
        return table

    def progress(self) -> Progress:
        """How far the read has come: by features, and within one by ts."""
        return Progress(self._rows, 1.0 if self._is_over else self._share())

    def _share(self) -> float | None:
        assert self._last is not None
        feature, ts = self._last
        since, until = (read_instant(each) if each else None for each in self._range)
        until = until or datetime.now(timezone.utc)
        within = (ts - since) / (until - since) if since is not None and until > since else 0.0
        return min((self.feature_ids.index(feature) + min(within, 1.0)) / len(self.feature_ids), 1.0) or None


def ids_of(feature_ids: Sequence[str] | str) -> list[str]:
    """The features, each once; raises InvalidRequest for none."""
    found = [feature_ids] if isinstance(feature_ids, str) else list(dict.fromkeys(feature_ids))
    if not found or not all(found):
        raise InvalidRequest("feature_ids names no feature: get_catalog() lists them")
    return found


def _cursor(link: str) -> str | None:
    """The cursor of `Link: <...>; rel="next"`. The rest of its address is not followed: a proxy may have another."""
    for part in link.split(", <"):
        address, _, relation = part.strip().lstrip("<").partition(">")
        if 'rel="next"' in relation:
            return parse_qs(urlsplit(address).query).get("cursor", [None])[0]
    return None
