"""What an operator asks first: how far has each series come, how old is each feature, what was kept out."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from feature_store import clock
from feature_store.catalog import Catalog
from feature_store.catalog.contracts import Source
from feature_store.settings import Settings
from feature_store.sources.circuit import circuits

_SERIES = """
select p.source, p.stream, p.series, p.complete_until,
       (select max(f.fetched_at) from raw.fetches as f
        where f.source = p.source and f.stream = p.stream and f.series = p.series) as last_fetch
from ops.stream_progress as p
order by 1, 2, 3
"""
_WINDOWS = """
select source, stream, series, since, until, done_until,
       round((100 * extract(epoch from done_until - since) / extract(epoch from until - since))::numeric, 1) as percent
from ops.window_progress order by 1, 2, 3, 4
"""
_GAPS = """
select source, stream, series, since, until, noticed_at, reason from ops.gaps order by 1, 2, 3, 4
"""
_FEATURES = """
select feature_id, ts, value, unit, available_at, available_basis, age, is_stale
from features.latest order by feature_id
"""
_REJECTS = """
select source, rule, count(*) as open, max(rejected_at) as newest
from raw.rejects where resolved_at is null group by 1, 2 order by 1, 2
"""
_FETCHES = """
select source, outcome, count(*) as fetches, sum(rows_fetched)::bigint as rows_fetched,
       sum(rows_loaded)::bigint as rows_loaded, sum(rows_duplicate)::bigint as rows_duplicate,
       sum(rows_rejected)::bigint as rows_rejected
from raw.fetches group by 1, 2 order by 1, 2
"""
_RECONCILIATION = """
select quantity, left_source, right_source, right_series, count(*) as compared,
       count(*) filter (where not agrees) as disagreeing, max(abs(difference)) as widest, min(tolerance) as tolerance,
       max(ts) as newest
from (
  select distinct on (quantity, left_source, right_source, right_series, ts) *
  from quality.reconciliation
  where ts >= ops.now() - interval '10 days'
  order by quantity, left_source, right_source, right_series, ts, reconciliation_id desc
) as newest
group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""


def read_status(conn: psycopg.Connection, catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """The store's condition, as plain rows: clock, sources, hosts that gave trouble, series, windows of history that
    are being loaded, what is lost of series, features, fetches, open rejects, and how sources of one quantity agreed
    in the last ten days."""
    now = clock.show(conn)
    return {
        "clock": now.mode,
        "now": now.now,
        "sources": [
            {"source": source.id, "connector": _connector(catalog, settings, source)}
            for source in catalog.sources.values()
        ],
        "circuits": circuits(conn),
        "series": _rows(conn, _SERIES),
        "windows": _rows(conn, _WINDOWS),
        "gaps": _rows(conn, _GAPS),
        "features": _rows(conn, _FEATURES),
        "fetches": _rows(conn, _FETCHES),
        "rejects": _rows(conn, _REJECTS),
        "reconciliation": _rows(conn, _RECONCILIATION),
    }


def _connector(catalog: Catalog, settings: Settings, source: Source) -> str:
    if not catalog.connected(source.slug):
        return "no connector yet"
    return settings.why_disabled(source.id, source.credentials) or "connected"


def _rows(conn: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
