"""What was kept out: raw.rejects by rule, in a list, one by one."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from feature_store.errors import WarehouseError

UNREADABLE = "unreadable_answer"
"""The rule of an answer that could not be read; every other rule keeps out a candidate."""

_WHERE = """
where (%(source)s::text is null or r.source = %(source)s) and (%(rule)s::text is null or r.rule = %(rule)s)
  and (%(also_resolved)s or r.resolved_at is null)
"""
_BY_RULE = f"""
select r.source, r.rule, count(*) filter (where r.resolved_at is null) as open,
       count(*) filter (where r.resolved_at is not null) as resolved, max(r.rejected_at) as newest
from raw.rejects as r {_WHERE}
group by 1, 2 order by 1, 2
"""  # noqa: S608 - constants
_LIST = f"""
select r.reject_id, r.source, r.stream, coalesce(r.content ->> 'series', r.feature_id) as of, r.ts, r.rule, r.reason,
       r.fetch_id, r.rejected_at, r.resolved_at
from raw.rejects as r {_WHERE}
order by r.reject_id desc limit %(limit)s
"""  # noqa: S608 - constants
_SHOW = """
select r.*, f.url, f.status, f.fetched_at, f.run_id, f.sha256
from raw.rejects as r left join raw.fetches as f using (fetch_id) where r.reject_id = %s
"""


def by_rule(
    conn: psycopg.Connection, source: str | None = None, rule: str | None = None, *, also_resolved: bool = False
) -> list[dict[str, Any]]:
    """How many rejects there are by source and rule."""
    parameters = {"source": source, "rule": rule, "also_resolved": also_resolved}
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_BY_RULE, parameters).fetchall()


def newest(
    conn: psycopg.Connection,
    source: str | None = None,
    rule: str | None = None,
    *,
    also_resolved: bool = False,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest rejects, without their content."""
    parameters = {"source": source, "rule": rule, "also_resolved": also_resolved, "limit": limit}
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_LIST, parameters).fetchall()


def one(conn: psycopg.Connection, reject_id: int) -> dict[str, Any]:
    """Everything that is known of one reject, with the fetch that brought it; WarehouseError when there is none."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SHOW, (reject_id,)).fetchone()
    if found is None:
        raise WarehouseError(f"there is no reject {reject_id}: `feature-store rejects list` shows those there are")
    return found


def unreadable(
    conn: psycopg.Connection,
    source: str | None = None,
    rule: str | None = None,
    reject_ids: list[int] | None = None,
) -> dict[str, list[int]]:
    """The fetches, by source, whose answers could not be read yet."""
    rows = conn.execute(
        """select source, array_agg(distinct fetch_id) from raw.rejects
           where resolved_at is null and rule = %(unreadable)s and fetch_id is not null
             and (%(reject_ids)s::bigint[] is null or reject_id = any(%(reject_ids)s))
             and (%(source)s::text is null or source = %(source)s) and (%(rule)s::text is null or rule = %(rule)s)
           group by source order by source""",
        {"unreadable": UNREADABLE, "source": source, "rule": rule, "reject_ids": reject_ids},
    ).fetchall()
    return dict(rows)
