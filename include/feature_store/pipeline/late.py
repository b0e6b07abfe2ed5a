"""News of days that are retired: what the run has to see of them comes back first, and retires again another day."""

import logging
from datetime import date

import psycopg

from feature_store.archive import restore
from feature_store.archive.retention import reach_of
from feature_store.catalog import Catalog
from feature_store.errors import ArchiveError
from feature_store.settings import Settings

log = logging.getLogger(__name__)

_OF_CANDIDATES = """
select distinct retired.feature_id, retired.day
from ops.retired_days as retired
join features.candidates as candidate
  on candidate.feature_id = retired.feature_id and (candidate.ts at time zone 'UTC')::date = retired.day
"""

# A new feature looks at every point of its inputs; any other at what its inputs' news reaches, and at what it told
# there.
_OF_INPUTS = """
with read as (
  select coalesce(max(done_xid), '0') as done_xid from ops.watermarks where consumer = 'derived'
),
reaches as (
  select * from unnest(%(features)s::text[], %(reaches)s::interval[]) as reach (feature_id, span)
),
looked_at as (
  select inputs.feature_id, inputs.input_id, changed.day - reaches.span as since, changed.day + reaches.span as until
  from ops.changed_days as changed
  cross join read
  join registry.feature_inputs as inputs on inputs.input_id = changed.feature_id and inputs.is_current
  join reaches on reaches.feature_id = inputs.feature_id
  where changed.xid >= read.done_xid
  union
  select inputs.feature_id, inputs.input_id, '-infinity', 'infinity'
  from registry.feature_inputs as inputs cross join read
  where inputs.is_current and (inputs.xid >= read.done_xid or %(everything)s)
)
select distinct retired.feature_id, retired.day
from looked_at
join registry.feature_inputs as needed on needed.feature_id = looked_at.feature_id and needed.is_current
join ops.retired_days as retired
  on retired.feature_id in (needed.feature_id, needed.input_id)
  and retired.day >= looked_at.since and retired.day <= looked_at.until
"""


def restore_for_candidates(conn: psycopg.Connection, settings: Settings) -> ArchiveError | None:
    """Bring back the retired days that the candidates speak of, so that the writer can compare; commits.

    While S3 is away, their candidates are taken out, so that the others can be published; the error is returned.
    """
    days = _days(conn, _OF_CANDIDATES)
    if not days:
        return None
    try:
        _restore(settings, days)
    except ArchiveError as error:
        names, of = zip(*days, strict=True)
        conn.execute(
            """delete from features.candidates as c using unnest(%s::text[], %s::date[]) as late (feature_id, day)
               where c.feature_id = late.feature_id and (c.ts at time zone 'UTC')::date = late.day""",
            (list(names), list(of)),
        )
        conn.commit()
        return error
    return None


def restore_for_inputs(
    conn: psycopg.Connection, settings: Settings, catalog: Catalog, *, everything: bool = False
) -> None:
    """Bring back what derived features have to look at for their inputs' news; raises ArchiveError when S3 is away."""
    reaches = {feature.id: reach_of(catalog, feature) for feature in catalog.features.values() if feature.is_derived}
    values = {"features": list(reaches), "reaches": list(reaches.values()), "everything": everything}
    days = _days(conn, _OF_INPUTS, values)
    if days:
        _restore(settings, days)


def _days(conn: psycopg.Connection, query: str, values: dict[str, object] | None = None) -> list[tuple[str, date]]:
    if conn.execute("select exists (select from ops.retired_days)").fetchone() == (False,):
        conn.commit()
        return []
    rows = conn.execute(query.encode(), values).fetchall()
    conn.commit()
    return [(feature_id, day) for feature_id, day in rows]


def _restore(settings: Settings, days: list[tuple[str, date]]) -> None:
    restored = restore(settings, days)
    log.info("%s versions of %s retired days came back: there is news of them", restored, len(days))
