"""Retired days back into Postgres, as they were, through the one writer."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa

from feature_store.archive.history import open_history
from feature_store.archive.versions import DAY, EverywhereReader, midnight, read_days, retired_days
from feature_store.errors import ArchiveError, UnknownFeature
from feature_store.settings import Settings
from feature_store.warehouse.versions import VERSIONS, connect_arrow, open_hot

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

FeatureDay = tuple[str, date]


def restore(settings: Settings, wanted: Iterable[FeatureDay], *, keep: bool = False) -> int:
    """Bring days of features back, a month in a transaction, newest first; returns how many versions.

    Days that are not retired are left alone. With `keep` retention leaves them for FEATURE_STORE_RETENTION_DAYS. Raises
    ArchiveError when S3 is away or the history lacks something: that month and older ones stay retired.
    """
    ordered = sorted(wanted, key=lambda item: item[1], reverse=True)
    return sum(
        _restore_month(settings, list(days), keep)
        for _, days in groupby(ordered, key=lambda item: (item[1].year, item[1].month))
    )


def restore_range(settings: Settings, features: Sequence[str], since: date, until: date) -> int:
    """Bring the retired days of features from `since` through `until` back, and keep them; returns how many versions.

    Raises UnknownFeature for one that was never written, ArchiveError as `restore` does.
    """
    if until < since:
        raise ArchiveError(f"--to {until} lies before --from {since}: there is no day between them")
    with open_hot(settings.postgres_dsn) as hot, EverywhereReader.over(hot, settings) as versions:
        unknown = set(features) - set(versions.features())
        if unknown:
            raise UnknownFeature(
                f"nothing was ever stored of {', '.join(sorted(unknown))}: `feature-store status` lists the features"
            )
        days = retired_days(hot, features, midnight(since), midnight(until) + DAY)
    return restore(settings, zip(*(days[name].to_pylist() for name in ("feature_id", "day")), strict=True), keep=True)


def _restore_month(settings: Settings, wanted: list[FeatureDay], keep: bool) -> int:
    with connect_arrow(settings.postgres_dsn) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        cursor.execute("select pg_advisory_xact_lock(hashtext('history'))")
        days = _retired(cursor, wanted)
        if not days.num_rows:
            return 0
        with open_history(settings) as history:
            rows = pa.RecordBatchReader.from_batches(VERSIONS, read_days(history, days))
            cursor.adbc_ingest("returning_versions", rows, mode="create", temporary=True)
        cursor.execute("select inserted from features.append_versions('pg_temp.returning_versions', true)")
        restored = int(cursor.fetch_arrow_table()["inserted"][0].as_py())
        lost = _retired(cursor, wanted)
        if lost.num_rows:
            raise ArchiveError(
                f"the history has nothing of {lost['feature_id'][0]} on {lost['day'][0]}, which was retired into it: "
                "nothing of that month was brought back. `feature-store archive verify` tells what else is missing"
            )
        if keep:
            cursor.adbc_ingest("kept_days", days, mode="create", temporary=True)
            cursor.execute(
                "insert into ops.restored_days (feature_id, day) select feature_id, day from pg_temp.kept_days"
                " on conflict (feature_id, day) do update set restored_at = excluded.restored_at"
            )
        connection.commit()
        return restored


def _retired(cursor: "Cursor", wanted: list[FeatureDay]) -> pa.Table:
    asked = pa.table(
        {"feature_id": [name for name, _ in wanted], "day": pa.array([day for _, day in wanted], pa.date32())}
    )
    cursor.execute("select feature_id, day from ops.retired_days")
    return cursor.fetch_arrow_table().join(asked, ["feature_id", "day"], join_type="left semi")
