"""Candidates that are kept out, in raw.rejects: blocked, brought back to be judged again, resolved."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from feature_store.catalog import Catalog
from feature_store.catalog.contracts import DERIVED_SOURCE, PUBLISH_SOURCE, PUBLISH_STREAM
from feature_store.quality.project import Failing
from feature_store.quality.rules import candidate_rules, change_rules

# A point that is among the candidates again says itself what there is of it: its old rejects stay out of it.
_RECONSIDER = """
insert into features.candidates
select (jsonb_populate_record(null::features.candidates, held.content)).*
from (
  select distinct on (r.feature_id, r.ts, r.content ->> 'available_at') r.feature_id, r.ts, r.content
  from raw.rejects as r
  join unnest(%(features)s::text[], %(versions)s::int[]) as known (feature_id, version)
    on known.feature_id = r.feature_id and known.version = (r.content ->> 'version')::int
  where r.resolved_at is null and r.rule = any(%(rules)s)
  order by r.feature_id, r.ts, r.content ->> 'available_at', r.reject_id desc
) as held
where not exists (
  select from features.candidates as c where c.feature_id = held.feature_id and c.ts = held.ts
)
"""

_BLOCKED = """
create temp table blocked (
  feature_id text, version int, ts timestamptz, available_at timestamptz,
  rule text, reason text, source text, stream text
) on commit drop
"""

_KEPT = """
create temp table kept on commit drop as
select b.*, f.fetch_id, to_jsonb(c) as content, md5(to_jsonb(c)::text) as fingerprint
from blocked as b
join features.candidates as c using (feature_id, version, ts, available_at)
left join raw.fetches as f on f.fetch_id::text = c.evidence -> 0 ->> 'fetch'
"""

# A reject holds as long as its row comes back as it was and breaks the same rule.
_RESOLVE = """
with judged as materialized (select distinct feature_id, ts from features.candidates),
outdated as materialized (
  select r.reject_id
  from raw.rejects as r
  join judged using (feature_id, ts)
  left join kept as k
    on k.feature_id = r.feature_id and k.ts = r.ts and k.rule = r.rule and k.fingerprint = md5(r.content::text)
  where r.resolved_at is null and r.rule = any(%(rules)s) and k.rule is null
)
update raw.rejects as r set resolved_at = ops.now() from outdated where outdated.reject_id = r.reject_id
"""

_INSERT = """
insert into raw.rejects (source, stream, fetch_id, feature_id, ts, rule, reason, content)
select source, stream, fetch_id, feature_id, ts, rule, reason, content from kept
on conflict (feature_id, ts, rule, md5(content::text)) where feature_id is not null and resolved_at is null
do nothing
"""

_REMOVE = """
delete from features.candidates as c using blocked as b
where c.feature_id = b.feature_id and c.version = b.version and c.ts = b.ts
  and c.available_at = b.available_at
"""


@dataclass(frozen=True)
class Kept:
    """How many rows are out, how many of their rejects are new, and how many older rejects no longer hold."""

    blocked: int
    newly_blocked: int
    resolved: int


def reconsider(conn: psycopg.Connection, catalog: Catalog) -> int:
    """Bring blocked rows back to the candidates, to be judged by the rules of today; returns how many."""
    _in_utc(conn)
    features = list(catalog.features.values())
    parameters = {
        "features": [feature.id for feature in features],
        "versions": [feature.version for feature in features],
        "rules": _row_rules(catalog),
    }
    return conn.execute(_RECONSIDER, parameters).rowcount


def reject(conn: psycopg.Connection, catalog: Catalog, failing: Sequence[Failing]) -> Kept:
    """Move failing candidates to raw.rejects and resolve rejects that no longer hold, in the open transaction."""
    _in_utc(conn)
    conn.execute(_BLOCKED)
    with conn.cursor().copy("copy blocked from stdin") as copy:
        for row in failing:
            copy.write_row((
                row.feature_id, row.version, row.ts, row.available_at, row.rule, row.reason,
                *_origin(catalog, row.feature_id),
            ))  # fmt: skip
    # Without statistics the planner takes these tables for tiny.
    conn.execute("analyze blocked")
    conn.execute("analyze features.candidates")
    conn.execute(_KEPT)
    conn.execute("analyze kept")
    resolved = conn.execute(_RESOLVE, {"rules": _row_rules(catalog)}).rowcount
    inserted = conn.execute(_INSERT).rowcount
    blocked = conn.execute(_REMOVE).rowcount
    conn.execute("drop table blocked, kept")
    return Kept(blocked, inserted, resolved)


def _origin(catalog: Catalog, feature_id: str) -> tuple[str, str | None]:
    """Source slug and stream of a feature; what the catalog does not know was made by this store."""
    feature = catalog.features.get(feature_id)
    if feature is None or feature.is_derived:
        return DERIVED_SOURCE, None
    if not feature.is_connected:
        return PUBLISH_SOURCE, PUBLISH_STREAM
    return catalog.source(feature.source.id).slug, feature.stream


def _row_rules(catalog: Catalog) -> list[str]:
    rules = [*candidate_rules(catalog), *change_rules(catalog)]
    return sorted({rule.name for rule in rules if rule.scope == "row" and rule.severity == "block"})


def _in_utc(conn: psycopg.Connection) -> None:
    """The text of a row's instants follows the session's zone, and a row must look the same to every run."""
    conn.execute("set local timezone = 'UTC'")
