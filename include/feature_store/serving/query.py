"""The query layer: every question about points, answered over hot and archive without the asker knowing.

K is an instant of knowledge, S one of storage: state (K, S) of a point is its newest version among those available by K
and stored by S. Instants are aware; answers are Arrow tables with instants in UTC and values in the feature's unit.
Historical answers are strict unless told otherwise: a backfilled version, which may hold what was rewritten since,
counts as available from when this store ingested it. The confidence of a version is what it was assessed at last by
K and S, else its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from feature_store.archive.history import open_history
from feature_store.archive.versions import EverywhereReader, VersionReader
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.errors import QueryError, UnknownFeature
from feature_store.serving.definitions import definition_of
from feature_store.serving.explain import Explained, explain
from feature_store.serving.join import BACKFILLED, Join
from feature_store.serving.points import POINTS, Asked, Vintage, points
from feature_store.settings import Settings
from feature_store.warehouse.assessments import with_confidence
from feature_store.warehouse.versions import KEY, VERSIONS, HotConnections

REVISIONS = pa.schema([field for field in VERSIONS if field.name != "xid"])
"""A version of a point as `revisions` tells it; a value of null withdrew it."""

_LATEST = sql.SQL(
    """select feature_id, ts, valid_at, value, unit, round(extract(epoch from age) * 1000)::bigint as age_ms, is_stale,
         confidence, is_provisional, available_at, available_basis, ingested_at, meta::text as meta,
         evidence::text as evidence, version
       from features.latest where feature_id = any({}) order by feature_id"""
)

_WRITTEN = sql.SQL(
    """select feature_id, last_ingested_at from ops.feature_writes
       where feature_id = any({}) and last_ingested_at is not null"""
)


class QueryLayer:
    """One store, or one of its named snapshots, to be asked. Each answer is of one transaction.

    Every method raises UnknownFeature for a feature that the catalog does not have, QueryError for a question that
    makes no sense, WarehouseError without a database, and ArchiveError when it needs S3 and S3 is away.
    """

    def __init__(self, settings: Settings, catalog: Catalog, snapshot: str | None = None) -> None:
        self._settings = settings
        self._catalog = catalog
        self._snapshot = snapshot
        self._join = Join()
        self._connections = HotConnections(settings.postgres_dsn)

    def features(self, ids: Sequence[str] | None) -> list[FeatureSpec]:
        """Those features of the catalog, each once, in that order; None for all."""
        known = self._catalog.features
        unknown = [name for name in ids or () if name not in known]
        if unknown:
            raise UnknownFeature(_unknown(unknown[0], known))
        return list(known.values()) if ids is None else [known[name] for name in dict.fromkeys(ids)]

    def latest(self, features: Sequence[str] | None = None) -> pa.Table:
        """The newest point of each feature with its unit, its age in milliseconds (closed time apart) and is_stale."""
        if self._snapshot is not None:
            raise QueryError(f"the snapshot {self._snapshot!r} stands still: ask it for a range, or for instants")
        chosen = [feature.id for feature in self.features(features)]
        with self._connections.open() as hot:
            return _reported(hot.ask(_LATEST.format(chosen)).read_all())

    def written(self, features: Sequence[str]) -> tuple[datetime, dict[str, datetime]]:
        """The store's now, and until when each of the features was written to, where it ever was; both UTC.

        What is read `as_stored` that instant of a feature stays the same, whatever is written to it from now on.
        """
        chosen = [feature.id for feature in self.features(features)]
        with self._connections.open() as hot:
            [now] = hot.ask(sql.SQL("select ops.now() as now")).read_all()["now"].to_pylist()
            rows = hot.ask(_WRITTEN.format(chosen)).read_all()
        return now, dict(zip(rows["feature_id"].to_pylist(), rows["last_ingested_at"].to_pylist(), strict=True))

    def query(  # noqa: PLR0913 - a question has that many sides
        self,
        features: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        as_of: datetime | None = None,
        as_stored: datetime | None = None,
        strict: bool = True,
        vintage: Vintage = "latest",
    ) -> pa.Table:
        """The points with since <= ts < until in state (as_of, as_stored), as POINTS: by feature, in the order of ts.

        None is the end of time: what is known, what is stored now. `vintage` first gives the first value of each ts in
        that state instead of the newest, all every version, withdrawals included.
        """
        asked = (features, since, until)
        with self.stream(*asked, as_of=as_of, as_stored=as_stored, strict=strict, vintage=vintage) as batches:
            return _reported(batches.read_all())

    @contextmanager
    def stream(  # noqa: PLR0913 - as many
        self,
        features: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        as_of: datetime | None = None,
        as_stored: datetime | None = None,
        strict: bool = True,
        vintage: Vintage = "latest",
    ) -> Iterator[pa.RecordBatchReader]:
        """As `query`, batch by batch: memory stays bounded however long the range is. Read within the `with`."""
        chosen = self.features(features)
        _require_aware(since=since, until=until, as_of=as_of, as_stored=as_stored)
        if since is not None and until is not None and until < since:
            raise QueryError(f"until {until.isoformat()} lies before since {since.isoformat()}")
        asked = Asked(as_of, as_stored, strict, vintage)
        with self._versions() as versions:

            def batches() -> Iterator[pa.RecordBatch]:
                for feature in chosen:
                    definition = definition_of(versions, feature.id, as_stored)
                    if definition is not None:
                        yield from points(versions, feature.id, definition, asked, since, until)

            yield pa.RecordBatchReader.from_batches(POINTS, batches())

    def as_of(
        self, known_at: datetime, features: Sequence[str], since: datetime | None = None, until: datetime | None = None
    ) -> pa.Table:
        """What was known at an instant, strictly: for research."""
        return self.query(features, since, until, as_of=known_at)

    def as_stored(
        self, stored_at: datetime, features: Sequence[str], since: datetime | None = None, until: datetime | None = None
    ) -> pa.Table:
        """What this store held at an instant, whatever it has learnt since: for audits."""
        return self.query(features, since, until, as_stored=stored_at)

    def historical(
        self,
        spine: pa.Table,
        features: Sequence[str],
        *,
        as_stored: datetime | None = None,
        strict: bool = True,
        max_age: timedelta | Mapping[str, timedelta] | None = None,
        detail: bool = False,
    ) -> pa.Table:
        """The spine with a column for each feature: of its row the value of the newest point, null where there is none.

        That is the point with the newest valid_at <= the row's `at` in state (K, as_stored), where K is the row's
        `as_of`, or its `at` where that is null or no column. A point older at `at` than `max_age`, closed time of the
        feature's calendar apart, is none. `detail` adds `<feature>.ts`, `.valid_at`, `.available_at` and `.basis`.
        """
        chosen = self.features(features)
        _require_aware(as_stored=as_stored)
        max_ages = max_age if isinstance(max_age, Mapping) else dict.fromkeys(features, max_age)
        with self._versions() as versions:
            joined = self._join(versions, spine, chosen, as_stored=as_stored, strict=strict, max_ages=max_ages)
        return joined.table(detail=detail)

    def revisions(
        self,
        feature: str,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        ts: datetime | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Every version of a point, or of the points of a range, of every definition, in the order they were told.

        Their confidence is what they were assessed at last.
        QueryError when there are more than `limit`: no more than these are read.
        """
        [chosen] = self.features([feature])
        _require_aware(since=since, until=until, ts=ts)
        if ts is not None:
            since, until = ts, ts + timedelta(microseconds=1)
        with self._versions() as versions:
            assessments = versions.assessments(chosen.id, since, until)
            rows = _at_most(versions.read([chosen.id], since, until, REVISIONS.names), limit)
        return with_confidence(rows, assessments).sort_by([(name, "ascending") for name in KEY])

    def explain(
        self,
        feature: str,
        ts: datetime,
        *,
        as_of: datetime | None = None,
        as_stored: datetime | None = None,
        strict: bool = True,
    ) -> Explained:
        """Where the value of a point in a state comes from: its fetch and the bytes of the answer, or its inputs.

        QueryError when there is no such point in that state.
        """
        [chosen] = self.features([feature])
        _require_aware(ts=ts, as_of=as_of, as_stored=as_stored)
        with self._versions() as versions, self._connections.open() as hot:
            definition = definition_of(versions, chosen.id, as_stored)
            asked = Asked(as_of, as_stored, strict)
            return explain(versions, hot, chosen.id, definition, ts, asked)

    @contextmanager
    def _versions(self) -> Iterator[VersionReader]:
        if self._snapshot is not None:
            with open_history(self._settings) as history:
                yield history.at(self._snapshot)
        else:
            with self._connections.open() as hot, EverywhereReader.over(hot, self._settings) as versions:
                yield versions


def backfilled_share(answer: pa.Table) -> Any:
    """What share of an answer's values was backfilled, 0 to 1; of `historical` by feature."""
    return json.loads(answer.schema.metadata[BACKFILLED])


def _at_most(rows: pa.RecordBatchReader, limit: int | None) -> pa.Table:
    if limit is None:
        return rows.read_all()
    held, count = [], 0
    for batch in rows:
        held.append(batch)
        count += batch.num_rows
        if count > limit:
            raise QueryError(f"there are more than {limit} versions: narrow the range with `since` and `until`")
    return pa.Table.from_batches(held, rows.schema)


def _reported(answer: pa.Table) -> pa.Table:
    backfilled = pc.sum(pc.equal(answer["available_basis"], "backfilled")).as_py() or 0
    share = backfilled / answer.num_rows if answer.num_rows else 0.0
    return answer.replace_schema_metadata({BACKFILLED: json.dumps(share)})


def _unknown(name: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    return f"there is no feature {name!r}" + (f": did you mean {near[0]!r}?" if near else "; see the catalog")


def _require_aware(**instants: datetime | None) -> None:
    for name, instant in instants.items():
        if instant is not None and instant.tzinfo is None:
            raise QueryError(f"{name}={instant.isoformat()} names no time zone: give one, for example +00:00")
