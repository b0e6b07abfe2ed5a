"""What one statement sees: one transaction, whatever number of tables it reads side by side, and the archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Self

from psycopg import sql

from feature_store.archive.history import open_history
from feature_store.archive.versions import EverywhereReader, VersionReader
from feature_store.serving.definitions import definition_of
from feature_store.settings import Settings
from feature_store.warehouse.versions import Hot, HotConnections

_KNOWN = sql.SQL(
    """select w.feature_id, l.version
       from ops.feature_writes as w left join features.latest_values as l using (feature_id) order by w.feature_id"""
)
_DAILY = sql.SQL("select distinct feature_id, version from features.features_versions where grain = 'daily'")


@dataclass(frozen=True)
class Moment:
    """A store, or one of its named snapshots, as one transaction sees it; for any thread."""

    settings: Settings
    snapshot: str | None
    connections: HotConnections
    exported: str
    now: datetime
    """The store's now, UTC."""
    shown: dict[str, int | None]
    """Every feature that was ever written, and which definition version of it readers of Postgres get."""

    @classmethod
    @contextmanager
    def of(cls, connections: HotConnections, settings: Settings, snapshot: str | None = None) -> Iterator[Self]:
        """The present one, for as long as the block lasts. Raises WarehouseError without a database."""
        with connections.open() as hot:
            [now] = hot.ask(sql.SQL("select ops.now() as now")).read_all()["now"].to_pylist()
            known = hot.ask(_KNOWN).read_all()
            shown = dict(zip(known["feature_id"].to_pylist(), known["version"].to_pylist(), strict=True))
            yield cls(settings, snapshot, connections, hot.exported(), now, shown)

    @contextmanager
    def hot(self) -> Iterator[Hot]:
        """A connection for one reader: over one connection rows of one query arrive at a time."""
        with self.connections.open(self.exported) as hot:
            yield hot

    @contextmanager
    def versions(self) -> Iterator[VersionReader]:
        """A reader of all versions; raises ArchiveError when it needs S3 and S3 is away."""
        if self.snapshot is not None:
            with open_history(self.settings) as history:
                yield history.at(self.snapshot)
        else:
            with self.hot() as hot, EverywhereReader.over(hot, self.settings) as versions:
                yield versions

    def definition(self, versions: VersionReader, feature: str) -> int | None:
        """The definition version of which features_values has the points; None when there are none."""
        shown = None if self.snapshot is not None else self.shown[feature]
        return definition_of(versions, feature) if shown is None else shown

    def daily(self, feature: str) -> list[int]:
        """The definition versions of a feature whose grain is daily: they stay in Postgres for good."""
        return [version for name, version in self._daily if name == feature]

    @cached_property
    def _daily(self) -> list[tuple[str, int]]:
        with self.hot() as hot:
            rows = hot.ask(_DAILY).read_all()
        return list(zip(rows["feature_id"].to_pylist(), rows["version"].to_pylist(), strict=True))
