-- What is thought of a version later than at ingest, and every reader's confidence as of an instant.

create table if not exists quality.confidence (
  feature_id text not null,
  version int not null,
  ts timestamptz not null,
  available_at timestamptz not null,
  ingested_at timestamptz not null,
  assessed_at timestamptz not null,
  confidence double precision not null check (confidence between 0 and 1),
  reasons jsonb not null check (jsonb_typeof(reasons) = 'object'),
  run_id text not null,
  primary key (feature_id, version, ts, available_at, ingested_at, assessed_at),
  check (assessed_at > ingested_at)
);
comment on table quality.confidence is
'Later assessments of versions, append-only. Who reads a point as of T gets the confidence of the last one up to T, else the version''s own. Files that were exported stay as they are.';
comment on column quality.confidence.feature_id is 'The version that is assessed: its feature.';
comment on column quality.confidence.version is 'Its definition version.';
comment on column quality.confidence.ts is 'Its ts, UTC.';
comment on column quality.confidence.available_at is 'Its available_at, UTC.';
comment on column quality.confidence.ingested_at is 'Its ingested_at, UTC.';
comment on column quality.confidence.assessed_at is
'When it was assessed, UTC, by the store''s clock; later than anything that was ingested or assessed of the feature before.';
comment on column quality.confidence.confidence is 'Confidence from then on, 0 to 1.';
comment on column quality.confidence.reasons is
'Why: the factors it was made of, by their names, for example {"agreement": 0.5}.';
comment on column quality.confidence.run_id is 'The Airflow run, or the command, that assessed.';

comment on column ops.feature_writes.last_ingested_at is
'Newest ingested_at or assessed_at of the feature; the next one is later. Null before the first.';
comment on column features.features_values.confidence is
'Confidence at ingest, 0 to 1; features.as_stored(''infinity'') has what it was assessed at since.';
comment on column features.latest_values.confidence is
'Confidence at ingest, 0 to 1; features.latest has what it was assessed at since.';

-- The last assessments are joined whole and not looked up row by row: there are few of them, and often none.
create or replace function features.as_of(known_at timestamptz, stored_at timestamptz default 'infinity')
returns table (
  feature_id text, version int, ts timestamptz, value double precision, confidence double precision,
  is_provisional boolean, available_at timestamptz, available_basis text, ingested_at timestamptz,
  meta jsonb, evidence jsonb
)
language sql stable parallel safe
as $$
  select
    feature_id, version, ts, known.value, coalesce(assessed.confidence, known.confidence), known.is_provisional,
    available_at, known.available_basis, ingested_at, known.meta, known.evidence
  from (
    select distinct on (v.feature_id, v.version, v.ts)
      v.feature_id, v.version, v.ts, v.value, v.confidence, v.is_provisional, v.available_at, v.available_basis,
      v.ingested_at, v.meta, v.evidence
    from features.features_versions as v
    where v.available_at <= known_at and v.ingested_at <= stored_at
    order by v.feature_id, v.version, v.ts, v.available_at desc, v.ingested_at desc
  ) as known
  left join (
    select distinct on (c.feature_id, c.version, c.ts, c.available_at, c.ingested_at)
      c.feature_id, c.version, c.ts, c.available_at, c.ingested_at, c.confidence
    from quality.confidence as c
    where c.assessed_at <= least(known_at, stored_at)
    order by c.feature_id, c.version, c.ts, c.available_at, c.ingested_at, c.assessed_at desc
  ) as assessed using (feature_id, version, ts, available_at, ingested_at)
$$;
comment on function features.as_of(timestamptz, timestamptz) is
'State (K, S): per feature, definition version and ts the newest version available by known_at among those stored by stored_at, with the confidence that it was assessed at last by both. A null value is a withdrawn point. Name a feature_id and bound ts: both are pushed down, and only the partitions of ts are read. Example: select ts, value from features.as_of(''2024-03-01 12:00Z'') where feature_id = ''macro/us/walcl_total_usd'' and ts >= ''2023-09-01'' order by ts';

create or replace function features.latest_as_of(known_at timestamptz, stored_at timestamptz default 'infinity')
returns table (
  feature_id text, version int, ts timestamptz, value double precision, confidence double precision,
  is_provisional boolean, available_at timestamptz, available_basis text, ingested_at timestamptz,
  meta jsonb, evidence jsonb
)
language sql stable parallel safe
as $$
  select
    newest.feature_id, newest.version, newest.ts, newest.value, coalesce(assessed.confidence, newest.confidence),
    newest.is_provisional, newest.available_at, newest.available_basis, newest.ingested_at, newest.meta,
    newest.evidence
  from registry.features_catalog as definition
  cross join lateral (
    select known.*
    from (
      -- The order of the key's index read backwards: it stops at the first point that was not withdrawn.
      select distinct on (v.ts)
        v.feature_id, v.version, v.ts, v.value, v.confidence, v.is_provisional, v.available_at, v.available_basis,
        v.ingested_at, v.meta, v.evidence
      from features.features_versions as v
      where v.feature_id = definition.id and v.version = definition.version and v.grain = definition.grain
        and v.ts <= least(known_at, stored_at) and v.available_at <= known_at and v.ingested_at <= stored_at
      order by v.ts desc, v.available_at desc, v.ingested_at desc
    ) as known
    where known.value is not null
    limit 1
  ) as newest
  left join lateral (
    select c.confidence
    from quality.confidence as c
    where c.feature_id = newest.feature_id and c.version = newest.version and c.ts = newest.ts
      and c.available_at = newest.available_at and c.ingested_at = newest.ingested_at
      and c.assessed_at <= least(known_at, stored_at)
    order by c.assessed_at desc
    limit 1
  ) as assessed on true
  where definition.is_current
$$;

create or replace view features.latest as
with timed as (
  select
    l.*,
    c.spec ->> 'unit' as unit,
    c.spec ->> 'calendar' as calendar,
    make_interval(secs => (c.spec ->> 'ttl_ms')::numeric / 1000) as ttl,
    case when c.spec ->> 'label' <> 'start' then l.ts
      when c.spec ->> 'period' = 'session'
        then (
          -- A value on a day without a session (VIX on holidays) counts as closed with the session before.
          select s.close_at from registry.calendar_sessions as s
          where s.calendar = c.spec ->> 'calendar' and s.date <= (l.ts at time zone 'UTC')::date
          order by s.date desc limit 1
        )
      else l.ts + (c.spec ->> 'period')::interval
    end as valid_at,
    (
      select a.confidence from quality.confidence as a
      where
        a.feature_id = l.feature_id and a.version = l.version and a.ts = l.ts
        and a.available_at = l.available_at and a.ingested_at = l.ingested_at
      order by a.assessed_at desc limit 1
    ) as assessed_confidence
  from features.latest_values as l
  left join registry.features_catalog as c on l.feature_id = c.id and c.is_current
),

aged as (
  select
    *,
    ops.now() - valid_at - features.closed_time(calendar, valid_at, ops.now()) as age
  from timed
)

select
  feature_id,
  ts,
  value,
  unit,
  valid_at,
  age,
  age > ttl as is_stale,
  coalesce(assessed_confidence, confidence) as confidence,
  is_provisional,
  available_at,
  available_basis,
  ingested_at,
  meta,
  evidence,
  version
from aged;
comment on column features.latest.confidence is 'Confidence as it was assessed last, else at ingest, 0 to 1.';

create or replace trigger tell_latest after insert on quality.confidence
for each statement execute function ops.tell_latest();
comment on trigger tell_latest on quality.confidence is 'Tells listeners of features_latest.';
