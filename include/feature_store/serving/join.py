"""The point-in-time join: for each instant of a spine what was known of each feature then."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.archive.versions import VersionReader
from feature_store.catalog import FeatureSpec
from feature_store.errors import QueryError
from feature_store.serving.definitions import definition_of
from feature_store.serving.steps import COLUMNS, Steps
from feature_store.serving.timing import Instants, valid_at
from feature_store.warehouse.versions import INSTANT, KEY

HELD_ROWS = 10_000_000
"""How many versions are held as steps between questions, at about 60 bytes each."""

BACKFILLED = b"backfilled_share"
"""Metadata of an answer's schema: what share of its values was backfilled, 0 to 1; of a join JSON by feature."""


@dataclass(frozen=True, eq=False)
class Held:
    """A feature's steps, and the versions that they point into."""

    steps: Steps
    versions: pa.Table


@dataclass(frozen=True, eq=False)
class Joined:
    """A spine, and of each feature the version that each of its rows found; null where it found none."""

    spine: pa.Table
    found: Sequence[tuple[FeatureSpec, pa.Table]]

    def table(self, *, detail: bool) -> pa.Table:
        """The spine with the features' columns, and what share of each one's values was backfilled as metadata."""
        table, shares = self.spine, {}
        for feature, versions in self.found:
            table = table.append_column(feature.id, versions["value"])
            if detail:
                for name, column in _details(feature, versions).items():
                    table = table.append_column(f"{feature.id}.{name}", column)
            known = len(versions) - versions["value"].null_count
            backfilled = pc.sum(pc.equal(versions["available_basis"], "backfilled")).as_py() or 0
            shares[feature.id] = backfilled / known if known else 0.0
        return table.replace_schema_metadata({BACKFILLED: json.dumps(shares)})


class Join:
    """Joins spines with features; keeps the steps of the features it was asked for last. For any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[tuple[object, ...], Held] = OrderedDict()

    def __call__(
        self,
        versions: VersionReader,
        spine: pa.Table,
        features: Sequence[FeatureSpec],
        *,
        as_stored: datetime | None,
        strict: bool,
        max_ages: Mapping[str, timedelta | None],
    ) -> Joined:
        """Find for each row of the spine the newest point known of each feature; see `QueryLayer.historical`."""
        at = _instants(spine, "at")
        known_at = _instants(spine, "as_of", instead=at) if "as_of" in spine.column_names else at
        # In the order of time, neighbours find what lies together.
        order = np.argsort(at, kind="stable")
        at, known_at, back = at[order], known_at[order], np.argsort(order, kind="stable")
        found = []
        for feature in features:
            held = self._of(versions, feature, as_stored)
            rows = held.steps.newest(at, known_at, strict=strict, max_age=max_ages.get(feature.id))[back]
            found.append((feature, held.versions.take(pa.array(rows, mask=rows < 0))))
        return Joined(spine, found)

    def _of(self, versions: VersionReader, feature: FeatureSpec, as_stored: datetime | None) -> Held:
        definition = definition_of(versions, feature.id, as_stored)
        key = (feature.id, definition, as_stored, versions.mark(feature.id))
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        # Not under the lock: a long history of one feature keeps nobody waiting who asks for others.
        held = _read(versions, feature, definition, as_stored)
        with self._lock:
            self._keep(key, held)
        return held

    def _keep(self, key: tuple[object, ...], held: Held) -> None:
        # What was known of the feature before it was written to again is of no use any more.
        for stale in [other for other in self._held if other[:3] == key[:3]]:
            del self._held[stale]
        self._held[key] = held
        while sum(len(other.versions) for other in self._held.values()) > HELD_ROWS and len(self._held) > 1:
            self._held.popitem(last=False)


def _read(versions: VersionReader, feature: FeatureSpec, definition: int | None, as_stored: datetime | None) -> Held:
    rows = versions.read([feature.id], columns=("version", *COLUMNS)).read_all()
    rows = rows.filter(pc.field("version") == definition).select(COLUMNS)
    if versions.archived_quarters(feature.id):
        rows = rows.sort_by([(name, "ascending") for name in KEY if name in COLUMNS])
    steps = Steps.of(feature, rows, as_stored)
    basis = rows["available_basis"].combine_chunks().dictionary_encode()
    return Held(steps, rows.drop_columns(["ingested_at", "available_basis"]).append_column("available_basis", basis))


def _details(feature: FeatureSpec, versions: pa.Table) -> dict[str, pa.ChunkedArray]:
    known = versions["ts"].is_valid().to_numpy()
    ended = np.zeros(len(versions), np.int64)
    ended[known] = valid_at(feature, versions["ts"].drop_null().cast(pa.int64()).to_numpy())
    return {
        "ts": versions["ts"],
        "valid_at": pa.array(ended, mask=~known).cast(INSTANT),
        "available_at": versions["available_at"],
        "basis": versions["available_basis"],
    }


def _instants(spine: pa.Table, name: str, instead: Instants | None = None) -> Instants:
    """A column of the spine in microseconds; nulls are taken from `instead`. QueryError where that cannot be."""
    if name not in spine.column_names:
        raise QueryError(f"the spine has the columns {', '.join(spine.column_names)}, but no {name!r}: its instants")
    column = spine[name].combine_chunks()
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        raise QueryError(f"the spine's column {name!r} is {column.type}, not timestamps with a time zone")
    if instead is None and column.null_count:
        raise QueryError(f"the spine's column {name!r} has {column.null_count} nulls: every row needs an instant")
    micros = column.cast(INSTANT, safe=False).cast(pa.int64())
    if instead is not None:
        micros = pc.coalesce(micros, pa.array(instead))
    return np.asarray(micros.to_numpy())
