-- Feature tables: versions are the truth, values and latest are what readers usually want.

create table if not exists features.features_versions (
  feature_id text not null,
  version int not null,
  grain text not null check (grain in ('intraday', 'daily')),
  ts timestamptz not null,
  value double precision check (value > '-Infinity' and value < 'Infinity'),
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  ingested_at timestamptz not null,
  is_provisional boolean not null,
  confidence double precision not null check (confidence between 0 and 1),
  meta jsonb not null default '{}',
  evidence jsonb not null default '[]',
  correction int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  check (available_at <= ingested_at)
) partition by list (grain);
create table if not exists features.features_versions_intraday
partition of features.features_versions for values in ('intraday') partition by range (ts);
create table if not exists features.features_versions_daily
partition of features.features_versions for values in ('daily') partition by range (ts);
create unique index if not exists features_versions_key
on features.features_versions (feature_id, version, ts, available_at, ingested_at, grain);
create index if not exists features_versions_withdrawn
on features.features_versions (feature_id, version, ts, available_at) where value is null;
create index if not exists features_versions_corrected
on features.features_versions (feature_id, version, ts, available_at) where correction > 0;

comment on table features.features_versions is
'Every version of every point, append-only: a change makes a new row, nothing is overwritten.';
comment on column features.features_versions.feature_id is 'Name of the feature, for example macro/us/walcl_total_usd.';
comment on column features.features_versions.version is 'Version of the feature''s definition in the catalog.';
comment on column features.features_versions.grain is 'Partition class: daily for frequency 1d, intraday for the rest.';
comment on column features.features_versions.ts is
'The instant of the point, UTC; the catalog''s label says whether it is an instant, the start or the end of a period.';
comment on column features.features_versions.value is 'The value in the feature''s unit; null means the source withdrew it.';
comment on column features.features_versions.available_at is
'The earliest instant at which the source could have served this value, UTC.';
comment on column features.features_versions.available_basis is
'How available_at is known: vintage, schedule, backfilled, ingested or stated.';
comment on column features.features_versions.ingested_at is 'When this store committed the row, UTC, by the store''s clock.';
comment on column features.features_versions.is_provisional is 'Whether the source will still change this value by design.';
comment on column features.features_versions.confidence is 'Confidence at ingest, 0 to 1.';
comment on column features.features_versions.meta is 'What else is known of the value.';
comment on column features.features_versions.evidence is 'Where it came from: fetches, or the inputs of a derived value.';
comment on column features.features_versions.correction is
'How many earlier rows said something else of the same ts and available_at: errors of our own, corrected.';
comment on column features.features_versions.xid is 'Transaction that added the row: consumers read by it.';

create table if not exists features.features_values (
  feature_id text not null,
  grain text not null check (grain in ('intraday', 'daily')),
  ts timestamptz not null,
  value double precision not null,
  confidence double precision not null,
  is_provisional boolean not null,
  available_at timestamptz not null,
  available_basis text not null,
  ingested_at timestamptz not null,
  meta jsonb not null,
  evidence jsonb not null,
  version int not null
) partition by list (grain);
create table if not exists features.features_values_intraday
partition of features.features_values for values in ('intraday') partition by range (ts);
create table if not exists features.features_values_daily
partition of features.features_values for values in ('daily') partition by range (ts);
create unique index if not exists features_values_key on features.features_values (feature_id, ts desc, grain);

comment on table features.features_values is
'What is known today: the latest version of each point of each feature''s newest definition; withdrawn points are left out.';
comment on column features.features_values.feature_id is 'Name of the feature.';
comment on column features.features_values.grain is 'Partition class: daily for frequency 1d, intraday for the rest.';
comment on column features.features_values.ts is 'The instant of the point, UTC.';
comment on column features.features_values.value is 'The value in the feature''s unit.';
comment on column features.features_values.confidence is 'Confidence at ingest, 0 to 1.';
comment on column features.features_values.is_provisional is 'Whether the source will still change this value by design.';
comment on column features.features_values.available_at is 'The earliest instant at which the source could have served it, UTC.';
comment on column features.features_values.available_basis is 'How available_at is known.';
comment on column features.features_values.ingested_at is 'When this store committed it, UTC.';
comment on column features.features_values.meta is 'What else is known of the value.';
comment on column features.features_values.evidence is 'Where it came from.';
comment on column features.features_values.version is 'Version of the feature''s definition.';

create table if not exists features.latest_values (
  feature_id text primary key,
  ts timestamptz not null,
  value double precision not null,
  confidence double precision not null,
  is_provisional boolean not null,
  available_at timestamptz not null,
  available_basis text not null,
  ingested_at timestamptz not null,
  meta jsonb not null,
  evidence jsonb not null,
  version int not null
);
comment on table features.latest_values is 'The newest point of each feature: one row per feature.';
comment on column features.latest_values.feature_id is 'Name of the feature.';
comment on column features.latest_values.ts is 'The instant of the newest point, UTC.';
comment on column features.latest_values.value is 'The value in the feature''s unit.';
comment on column features.latest_values.confidence is 'Confidence at ingest, 0 to 1.';
comment on column features.latest_values.is_provisional is 'Whether the source will still change this value by design.';
comment on column features.latest_values.available_at is 'The earliest instant at which the source could have served it, UTC.';
comment on column features.latest_values.available_basis is 'How available_at is known.';
comment on column features.latest_values.ingested_at is 'When this store committed it, UTC.';
comment on column features.latest_values.meta is 'What else is known of the value.';
comment on column features.latest_values.evidence is 'Where it came from.';
comment on column features.latest_values.version is 'Version of the feature''s definition.';

create table if not exists ops.feature_writes (
  feature_id text primary key,
  last_ingested_at timestamptz
);
comment on table ops.feature_writes is 'One row per feature: the lock its writers take, and their newest stamp.';
comment on column ops.feature_writes.feature_id is 'Name of the feature.';
comment on column ops.feature_writes.last_ingested_at is 'Newest ingested_at of the feature; the next one is later. Null before the first.';

create table if not exists ops.dirty_days (
  feature_id text not null,
  day date not null,
  marked_xid xid8 not null default pg_current_xact_id(),
  primary key (feature_id, day)
);
comment on table ops.dirty_days is 'Days of features that changed since they were last exported.';
comment on column ops.dirty_days.feature_id is 'Name of the feature.';
comment on column ops.dirty_days.day is 'UTC day of ts.';
comment on column ops.dirty_days.marked_xid is 'Transaction that last changed the day.';

create or replace view features.current_definitions as
select
  id as feature_id,
  version
from registry.features_catalog
where is_current;
comment on view features.current_definitions is 'The definition version each feature has in the catalog today.';
comment on column features.current_definitions.feature_id is 'Name of the feature.';
comment on column features.current_definitions.version is 'Version of its definition.';

-- State (K, S): what was available by K, as this store held it at S.
create or replace function features.as_of(known_at timestamptz, stored_at timestamptz default 'infinity')
returns table (
  feature_id text, version int, ts timestamptz, value double precision, confidence double precision,
  is_provisional boolean, available_at timestamptz, available_basis text, ingested_at timestamptz,
  meta jsonb, evidence jsonb
)
language sql stable parallel safe
as $$
  select distinct on (v.feature_id, v.version, v.ts)
    v.feature_id, v.version, v.ts, v.value, v.confidence, v.is_provisional, v.available_at, v.available_basis,
    v.ingested_at, v.meta, v.evidence
  from features.features_versions as v
  where v.available_at <= known_at and v.ingested_at <= stored_at
  order by v.feature_id, v.version, v.ts, v.available_at desc, v.ingested_at desc
$$;
comment on function features.as_of(timestamptz, timestamptz) is
'State (K, S): per feature, definition version and ts the newest version available by known_at among those stored by stored_at. A null value is a withdrawn point.';

create or replace function features.as_stored(stored_at timestamptz)
returns table (
  feature_id text, version int, ts timestamptz, value double precision, confidence double precision,
  is_provisional boolean, available_at timestamptz, available_basis text, ingested_at timestamptz,
  meta jsonb, evidence jsonb
)
language sql stable parallel safe
as $$ select * from features.as_of('infinity', stored_at) $$;
comment on function features.as_stored(timestamptz) is 'State (infinity, S): what this store held at stored_at.';

-- Time in which the feature's calendar was closed does not age a point. Calendars with an entry for each expected
-- date only (weekly, monthly) or without pauses close on no day.
create or replace function features.closed_time(in_calendar text, from_at timestamptz, to_at timestamptz)
returns interval
language sql stable parallel safe
set timezone = 'UTC'
as $$
  select case when in_calendar in ('nyse', 'sifma-us', 'fed-desk', 'us-federal', 'fx-weekdays') then (
    select coalesce(sum(least(to_at, d + interval '1 day') - greatest(from_at, d)), interval '0')
    from generate_series(date_trunc('day', from_at), to_at, interval '1 day') as d
    where not exists (
      select from registry.calendar_sessions as s where s.calendar = in_calendar and s.date = d::date
    )
  ) else interval '0' end
$$;
comment on function features.closed_time(text, timestamptz, timestamptz) is
'How much of a span fell on UTC days without a session of the calendar.';

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
    end as valid_at
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
  confidence,
  is_provisional,
  available_at,
  available_basis,
  ingested_at,
  meta,
  evidence,
  version
from aged;
comment on view features.latest is 'The newest point of each feature with its unit, its age now and whether it is stale.';
comment on column features.latest.feature_id is 'Name of the feature.';
comment on column features.latest.ts is 'The instant of the newest point, UTC.';
comment on column features.latest.value is 'The value in the feature''s unit.';
comment on column features.latest.unit is 'The feature''s unit.';
comment on column features.latest.valid_at is 'When the described period was over, UTC.';
comment on column features.latest.age is 'Now minus valid_at minus the time the feature''s calendar was closed in between.';
comment on column features.latest.is_stale is 'Whether the age exceeds the feature''s ttl_ms.';
comment on column features.latest.confidence is 'Confidence at ingest, 0 to 1.';
comment on column features.latest.is_provisional is 'Whether the source will still change this value by design.';
comment on column features.latest.available_at is 'The earliest instant at which the source could have served it, UTC.';
comment on column features.latest.available_basis is 'How available_at is known.';
comment on column features.latest.ingested_at is 'When this store committed it, UTC.';
comment on column features.latest.meta is 'What else is known of the value.';
comment on column features.latest.evidence is 'Where it came from.';
comment on column features.latest.version is 'Version of the feature''s definition.';

create or replace view registry.current_sources as
select
  id as source_id,
  spec ->> 'slug' as slug,
  (spec ->> 'reliability')::double precision as reliability
from registry.data_sources
where is_current;
comment on view registry.current_sources is 'The sources as the catalog has them today.';
comment on column registry.current_sources.source_id is 'Id of the source.';
comment on column registry.current_sources.slug is 'Name of its tables, modules and DAGs.';
comment on column registry.current_sources.reliability is 'How often it tells the truth, 0 to 1.';

-- A new or changed mapping gives every raw row of its series a new meaning: to the transform it is news.
alter table registry.feature_series add column if not exists xid xid8 not null default pg_current_xact_id();
comment on column registry.feature_series.xid is 'Transaction that last changed the row: the transform reads by it.';
create or replace function registry.stamp_xid() returns trigger
language plpgsql
as $$ begin new.xid := pg_current_xact_id(); return new; end $$;
comment on function registry.stamp_xid() is 'Trigger: remember which transaction changed the row.';
create or replace trigger stamp_xid before insert or update on registry.feature_series
for each row execute function registry.stamp_xid();
