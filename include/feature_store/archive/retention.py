"""Retention: days of intraday features leave Postgres after FEATURE_STORE_RETENTION_DAYS, once the history has them.

A day is detached and stands aside; its versions are compared with the history's; then it is dropped, or attached again
and reported. Readers find it in the history from the moment it is detached. A run that dies is taken up by the next.
What seasonal adjustment looks back at, and what was restored of late, stays.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import psycopg
import pyarrow as pa

from feature_store import clock
from feature_store.archive.history import History, commit_history, open_history, writing
from feature_store.archive.versions import DAY, midnight, read_days
from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.durations import parts
from feature_store.errors import ArchiveError
from feature_store.settings import Settings
from feature_store.warehouse.versions import VERSIONS, digests, open_hot

log = logging.getLogger(__name__)

SEASONS_REACH = {"hour-of-week": timedelta(hours=1762), "week-of-year": timedelta(weeks=390)}
"""How far back, and ahead, a season looks: `reach` of the macro `seasons`."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Due:
    """A day past its retention: its versions by feature, and the features that stay."""

    day: date
    kept: frozenset[str]


@dataclass
class Retired:
    """What retention did, or would do: days by what became of them."""

    days: list[date] = field(default_factory=list)
    versions: int = 0
    left: dict[date, str] = field(default_factory=dict)
    """Days that stay for now, and why."""
    reattached: dict[date, str] = field(default_factory=dict)
    """Days that the history does not hold as Postgres does, and how they differ."""

    def __str__(self) -> str:
        reasons = sorted(set(self.left.values()))
        left = "".join(f", {sum(why == reason for why in self.left.values())} {reason}" for reason in reasons)
        return f"{len(self.days)} days retired ({self.versions} versions), {len(self.reattached)} put back{left}"


def retire(
    conn: psycopg.Connection,
    settings: Settings,
    catalog: Catalog,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Retired:
    """Retire every day that is due, or with `dry_run` only tell which; commits day by day.

    Raises ArchiveError naming the days that were put back, after all others are done, and when S3 is away: then nothing
    is dropped, and a day that stands aside is compared by the next run.
    """
    done = Retired()
    if dry_run:
        for due in _due(conn, settings, catalog):
            rows = _count(conn, due)
            if rows:
                done.days.append(due.day)
                done.versions += rows
        return done
    commit_history(conn, settings)
    with writing(conn), open_history(settings) as history:
        for day in _aside(conn):
            _settle(conn, settings, history, day, done)
        for due in _due(conn, settings, catalog):
            said = _detach(conn, history, due)
            if said == "detached":
                _settle(conn, settings, history, due.day, done)
            else:
                done.left[due.day] = said
            if progress is not None:
                progress(f"{due.day}: {said}")
    if done.reattached:
        raise ArchiveError(
            "the history differs from the feature tables, which were put back as they were: "
            + "; ".join(f"{day}: {why}" for day, why in done.reattached.items())
            + ". `feature-store archive verify` tells more"
        )
    return done


def look_back(catalog: Catalog) -> dict[str, timedelta]:
    """How long each intraday feature must stay for what is computed from it."""
    reaches: dict[str, timedelta] = {}
    for feature in catalog.features.values():
        for name in feature.inputs:
            if catalog.features[name].grain == "intraday":
                reaches[name] = max(reaches.get(name, DAY), reach_of(catalog, feature))
    return reaches


def reach_of(catalog: Catalog, derived: FeatureSpec) -> timedelta:
    """How far from a point of a derived feature its inputs may lie, rounded up."""
    season = catalog.features[derived.inputs[0]].season
    is_twin = season is not None and derived.source.schema_name == "seasonal_factors"
    return (SEASONS_REACH[season] if is_twin and season else _span(derived.max_age or "P0D")) + 2 * DAY


def _span(duration: str) -> timedelta:
    months, fixed = parts(duration)
    return 31 * months * DAY + fixed


def _due(conn: psycopg.Connection, settings: Settings, catalog: Catalog) -> Iterator[Due]:
    now = clock.now(conn)
    kept_for = look_back(catalog)
    restored = conn.execute(
        "select feature_id, day from ops.restored_days where restored_at > %s",
        (now - timedelta(days=settings.retention_days),),
    ).fetchall()
    conn.commit()
    for day in _partitions(conn, before=(now - timedelta(days=settings.retention_days)).date()):
        needed = {name for name, span in kept_for.items() if midnight(day) + DAY > now - span}
        yield Due(day, frozenset(needed | {name for name, restored_day in restored if restored_day == day}))


def _partitions(conn: psycopg.Connection, before: date) -> list[date]:
    rows = conn.execute(
        """select to_date(right(relname, 8), 'YYYYMMDD') as day
           from pg_inherits join pg_class on oid = inhrelid
           where inhparent = 'features.features_versions_intraday'::regclass order by day"""
    ).fetchall()
    conn.commit()
    return [day for (day,) in rows if day < before]


def _aside(conn: psycopg.Connection) -> list[date]:
    rows = conn.execute(
        """select to_date(right(tablename, 8), 'YYYYMMDD') from pg_tables
           where schemaname = 'features' and tablename like 'retiring\\_versions\\_%' order by 1"""
    ).fetchall()
    conn.commit()
    return [day for (day,) in rows]


def _count(conn: psycopg.Connection, due: Due) -> int:
    row = conn.execute(
        "select count(*) from features.features_versions"
        " where grain = 'intraday' and ts >= %s and ts < %s and feature_id <> all(%s)",
        (midnight(due.day), midnight(due.day) + DAY, list(due.kept)),
    ).fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])


def _detach(conn: psycopg.Connection, history: History, due: Due) -> str:
    row = conn.execute(
        "select features.detach_day(%s, %s::text::xid8, %s)", (due.day, history.done_xid, sorted(due.kept))
    ).fetchone()
    conn.commit()
    assert row is not None
    return str(row[0])


def _settle(conn: psycopg.Connection, settings: Settings, history: History, day: date, done: Retired) -> None:
    """Drop a day that stands aside if the history holds it, else put it back."""
    retired = conn.execute(
        "select feature_id from ops.retired_days where day = %s and sha256 is null", (day,)
    ).fetchall()
    conn.commit()
    features = [name for (name,) in retired]
    days = pa.table({"feature_id": features, "day": pa.array([day] * len(features), pa.date32())})
    aside = digests(_read_aside(settings, day), features)
    archived = digests(pa.Table.from_batches(read_days(history, days), VERSIONS), features)
    differing = [name for name in features if aside[name] != archived[name]]
    if differing:
        name = differing[0]
        done.reattached[day] = (
            f"{len(differing)} of {len(features)} features, {name} with {aside[name][0]} versions here and "
            f"{archived[name][0]} there"
        )
        log.error("%s: %s", day, done.reattached[day])
        conn.execute("select features.reattach_day(%s)", (day,))
    else:
        conn.cursor().executemany(
            "update ops.retired_days set sha256 = %s where feature_id = %s and day = %s",
            [(sha256, name, day) for name, (_, sha256) in aside.items()],
        )
        conn.execute("select features.drop_day(%s)", (day,))
        done.days.append(day)
        done.versions += sum(rows for rows, _ in aside.values())
    conn.commit()


def _read_aside(settings: Settings, day: date) -> pa.Table:
    with open_hot(settings.postgres_dsn) as hot:
        return hot.read_aside(f"retiring_versions_{day:%Y%m%d}").read_all()
