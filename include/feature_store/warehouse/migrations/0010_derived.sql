-- What derived features are made of, and which days of which features changed: news for whoever computes from versions.

create table if not exists registry.feature_inputs (
  feature_id text not null,
  version int not null,
  model text not null,
  grain text not null check (grain in ('daily', 'intraday')),
  unit text not null,
  label text not null check (label in ('instant', 'start', 'end')),
  period interval,
  is_session boolean not null,
  calendar text not null,
  season text,
  max_age interval,
  position int not null check (position >= 1),
  input_id text not null,
  input_version int not null,
  input_grain text not null check (input_grain in ('daily', 'intraday')),
  input_unit text not null,
  input_label text not null check (input_label in ('instant', 'start', 'end')),
  input_period interval,
  input_is_session boolean not null,
  input_calendar text not null,
  is_current boolean not null,
  xid xid8 not null default pg_current_xact_id(),
  primary key (feature_id, version, position)
);
create index if not exists feature_inputs_input on registry.feature_inputs (input_id, input_version) where is_current;
comment on table registry.feature_inputs is
'What each derived feature is computed from, one row for each input: what dbt joins published versions with.';
comment on column registry.feature_inputs.feature_id is 'The derived feature.';
comment on column registry.feature_inputs.version is 'Version of its definition.';
comment on column registry.feature_inputs.model is 'The dbt model that computes it; a model may serve several features.';
comment on column registry.feature_inputs.grain is 'Partition of the derived feature: daily or intraday.';
comment on column registry.feature_inputs.unit is 'Unit of the derived feature.';
comment on column registry.feature_inputs.label is 'Whether its ts is an instant, or the start or the end of a period.';
comment on column registry.feature_inputs.period is 'Length of its period; null for instants and sessions. Add it at UTC.';
comment on column registry.feature_inputs.is_session is 'Whether its period is the calendar''s session on the date of ts.';
comment on column registry.feature_inputs.calendar is 'Its calendar in registry.calendar_sessions.';
comment on column registry.feature_inputs.season is
'The cycle a seasonally adjusted twin is adjusted for: week-of-year or hour-of-week; null for other features.';
comment on column registry.feature_inputs.max_age is 'An input older than this, at the derived instant, gives no value; null: no age at all.';
comment on column registry.feature_inputs.position is 'Place of the input in the catalog''s list, from 1: the model knows it by that.';
comment on column registry.feature_inputs.input_id is 'The input.';
comment on column registry.feature_inputs.input_version is 'Version of the input''s definition.';
comment on column registry.feature_inputs.input_grain is 'Partition of the input: daily or intraday.';
comment on column registry.feature_inputs.input_unit is 'Unit of the input.';
comment on column registry.feature_inputs.input_label is 'Whether the input''s ts is an instant, or the start or the end of a period.';
comment on column registry.feature_inputs.input_period is 'Length of the input''s period; null for instants and sessions.';
comment on column registry.feature_inputs.input_is_session is 'Whether the input''s period is its calendar''s session.';
comment on column registry.feature_inputs.input_calendar is 'The input''s calendar.';
comment on column registry.feature_inputs.is_current is 'Whether the catalog has the feature made this way today.';
comment on column registry.feature_inputs.xid is 'Transaction that last changed the row: news for every point of the inputs.';
create or replace trigger stamp_xid before insert or update on registry.feature_inputs
for each row execute function registry.stamp_xid();

create table if not exists ops.changed_days (
  feature_id text not null,
  version int not null,
  grain text not null,
  day date not null,
  xid xid8 not null default pg_current_xact_id()
);
create index if not exists changed_days_xid on ops.changed_days (xid);
comment on table ops.changed_days is
'Which days of which features a transaction of the one writer appended versions to: news for derived features and the panel. Done rows are swept.';
comment on column ops.changed_days.feature_id is 'The feature.';
comment on column ops.changed_days.version is 'Version of its definition.';
comment on column ops.changed_days.grain is 'Partition of the feature: daily or intraday.';
comment on column ops.changed_days.day is 'UTC day of ts.';
comment on column ops.changed_days.xid is 'The transaction; the versions it appended carry the same.';

create or replace function features.append_versions(candidates regclass)
returns table (inserted bigint, duplicate bigint)
language plpgsql
set timezone = 'UTC'
as $$
declare
  total bigint;
  fresh bigint := 0;
  stamp timestamptz;
  span record;
begin
  -- A big table that nobody has analyzed yet would be joined row by row.
  if exists (select from pg_class where oid = candidates and relkind = 'r' and reltuples < 0) then
    execute format('analyze %s', candidates);
  end if;
  drop table if exists pg_temp.writing;
  execute format($sql$
    create temp table writing on commit drop as
    select feature_id, grain, min(ts) as first_ts, max(ts) as last_ts, count(*) as candidates
    from %s group by feature_id, grain
  $sql$, candidates);
  select coalesce(sum(w.candidates), 0) into total from writing as w;

  -- Writers of one feature queue here. One order of locking, so no deadlock; locked before the anti-join, so that
  -- it sees what the writer before has committed.
  insert into ops.feature_writes (feature_id) select feature_id from writing order by 1 on conflict do nothing;
  perform from ops.feature_writes where feature_id in (select feature_id from writing) order by feature_id for update;

  drop table if exists pg_temp.fresh_versions;
  create temp table fresh_versions (like features.features_versions including defaults) on commit drop;
  for span in
    select w.grain, min(w.first_ts) as first_ts, max(w.last_ts) as last_ts from writing as w group by w.grain
  loop
    fresh := fresh + features.insert_fresh(candidates, span.grain, span.first_ts, span.last_ts);
  end loop;
  if fresh = 0 then
    return query select 0::bigint, total;
    return;
  end if;
  if fresh > 10000 then
    analyze fresh_versions;
  end if;

  -- A frozen or fast clock must not give two rows of a feature the same stamp.
  select greatest(ops.now(), max(w.last_ingested_at) + interval '1 microsecond') into stamp
  from ops.feature_writes as w where w.feature_id in (select feature_id from writing);
  if (select max(available_at) from fresh_versions) > stamp then
    raise exception 'candidates claim to be available after now (%): %', stamp,
      (select format('%s at %s available at %s', feature_id, ts, available_at)
       from fresh_versions where available_at > stamp limit 1)
      using hint = 'available_at never lies after ingested_at: check the release rule, or the clock (ops.now()).';
  end if;

  create temp table touched_days on commit drop as
  select distinct feature_id, version, grain, date_trunc('day', ts) as day from fresh_versions;
  perform features.ensure_partitions(grain, day, day)
  from (
    select distinct grain, date_trunc(case grain when 'daily' then 'year' else 'day' end, day) as day from touched_days
  ) as needed;

  insert into features.features_versions
    (feature_id, version, grain, ts, value, available_at, available_basis, ingested_at, is_provisional, confidence,
     meta, evidence, correction)
  select feature_id, version, grain, ts, value, available_at, available_basis, stamp, is_provisional, confidence,
         meta, evidence, correction
  from fresh_versions;
  update ops.feature_writes set last_ingested_at = stamp
  where feature_id in (select feature_id from touched_days);

  perform features.refresh_values(stamp);

  insert into ops.changed_days (feature_id, version, grain, day)
  select feature_id, version, grain, day::date from touched_days;
  insert into ops.dirty_days as d (feature_id, day)
  select distinct feature_id, day::date from touched_days
  on conflict (feature_id, day) do update set marked_xid = excluded.marked_xid;
  drop table touched_days;

  return query select fresh, total - fresh;
end
$$;
comment on function features.append_versions(regclass) is
'The one writer. Takes a relation of candidates (feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, confidence, meta, evidence), appends those that say something new, and keeps values, latest, changed and dirty days true, all in the caller''s transaction.';
