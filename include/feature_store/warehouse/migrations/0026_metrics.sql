-- What is measured: counts of what happens, which nothing that is retired, moved or deleted takes back.

alter table ops.feature_writes add column if not exists appended bigint not null default 0;
comment on column ops.feature_writes.appended is
'How many versions were appended since they are counted. It never falls, and restoring adds none.';

-- As before, but that what is appended is counted.
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
  if exists (select from ops.retired_days as r join touched_days as t on r.feature_id = t.feature_id and r.day = t.day::date) then
    raise exception 'candidates of days that are retired: %',
      (select format('%s on %s', r.feature_id, r.day)
       from ops.retired_days as r join touched_days as t on r.feature_id = t.feature_id and r.day = t.day::date limit 1)
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'What such a day holds lies on S3: bring it back first (feature-store archive restore), as transform_features does by itself.';
  end if;
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
  update ops.feature_writes as w set last_ingested_at = stamp, appended = w.appended + f.appended
  from (select feature_id, count(*) as appended from fresh_versions group by feature_id) as f
  where w.feature_id = f.feature_id;

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

create table if not exists ops.fetch_counts (
  source text not null,
  stream text not null,
  series text not null,
  outcome text not null check (outcome in ('loaded', 'rejected', 'failed')),
  fetches bigint not null,
  primary key (source, stream, series, outcome)
);
comment on table ops.fetch_counts is
'What became of requests to sources, counted since they are counted; an answer that is read again counts again.';
comment on column ops.fetch_counts.source is 'Slug of the source.';
comment on column ops.fetch_counts.stream is 'Stream of the source.';
comment on column ops.fetch_counts.series is 'Series of the stream; empty where a request is for none.';
comment on column ops.fetch_counts.outcome is 'loaded, rejected (the answer could not be read) or failed (no usable answer).';
comment on column ops.fetch_counts.fetches is 'How many.';

create table if not exists ops.reject_counts (
  source text not null,
  stream text not null,
  series text not null,
  feature_id text not null,
  rule text not null,
  rejects bigint not null,
  primary key (source, stream, series, feature_id, rule)
);
comment on table ops.reject_counts is
'What was kept out, counted since it is counted: raw.rejects, and points that failed in requests to publish that were accepted.';
comment on column ops.reject_counts.source is 'Slug of the source, or publish.';
comment on column ops.reject_counts.stream is 'Stream of the source; empty where it came from none.';
comment on column ops.reject_counts.series is 'Series of the stream whose answer could not be read; empty for a row of a feature.';
comment on column ops.reject_counts.feature_id is 'The feature; empty where an answer could not be read.';
comment on column ops.reject_counts.rule is 'The rule that kept it out.';
comment on column ops.reject_counts.rejects is 'How many.';

-- Counts are taken in one order, so that two transactions never wait for each other.
create or replace function ops.count_fetches() returns trigger
language plpgsql
as $$
begin
  if tg_op = 'INSERT' then
    insert into ops.fetch_counts as held (source, stream, series, outcome, fetches)
    select source, stream, coalesce(series, ''), outcome, count(*) from after
    where outcome <> 'landed' group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (source, stream, series, outcome) do update set fetches = held.fetches + excluded.fetches;
  else
    insert into ops.fetch_counts as held (source, stream, series, outcome, fetches)
    select after.source, after.stream, coalesce(after.series, ''), after.outcome, count(*)
    from after inner join before on after.fetch_id = before.fetch_id
    where after.outcome <> 'landed' and after.outcome <> before.outcome
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (source, stream, series, outcome) do update set fetches = held.fetches + excluded.fetches;
  end if;
  return null;
end
$$;
comment on function ops.count_fetches() is 'Trigger: what became of requests.';
create or replace trigger count_new_fetches after insert on raw.fetches
referencing new table as after for each statement execute function ops.count_fetches();
create or replace trigger count_read_fetches after update on raw.fetches
referencing old table as before new table as after for each statement execute function ops.count_fetches();

create or replace function ops.count_rejects() returns trigger
language plpgsql
as $$
begin
  insert into ops.reject_counts as held (source, stream, series, feature_id, rule, rejects)
  select source, coalesce(stream, ''), case when feature_id is null then coalesce(content ->> 'series', '') else '' end,
         coalesce(feature_id, ''), rule, count(*)
  from after group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
  on conflict (source, stream, series, feature_id, rule) do update set rejects = held.rejects + excluded.rejects;
  return null;
end
$$;
comment on function ops.count_rejects() is 'Trigger: what was kept out.';
create or replace trigger count_rejects after insert on raw.rejects
referencing new table as after for each statement execute function ops.count_rejects();

create or replace function ops.count_failed_points() returns trigger
language plpgsql
as $$
begin
  insert into ops.reject_counts as held (source, stream, series, feature_id, rule, rejects)
  select 'publish', 'points', '', coalesce(error ->> 'featureId', ''), error ->> 'rule', count(*)
  from after cross join lateral jsonb_array_elements(after.answer -> 'errors') as error
  where exists (
    select from registry.features_catalog as known where known.id = error ->> 'featureId'
  )
  group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
  on conflict (source, stream, series, feature_id, rule) do update set rejects = held.rejects + excluded.rejects;
  return null;
end
$$;
comment on function ops.count_failed_points() is
'Trigger: points that failed in a request to publish; names that the catalog does not know are anybody''s invention.';
create or replace trigger count_failed_points after insert on ops.publishes
referencing new table as after for each statement execute function ops.count_failed_points();

create table if not exists ops.layer_sizes (
  layer text primary key check (layer in ('history', 'payloads')),
  size_bytes bigint not null
);
comment on table ops.layer_sizes is 'How much lies in the layers of the archive that the database has no list of.';
comment on column ops.layer_sizes.layer is 'history, as it was listed after its last commit; payloads, counted as they are moved and deleted.';
comment on column ops.layer_sizes.size_bytes is 'Bytes on S3.';
insert into ops.layer_sizes (layer, size_bytes) values ('history', 0), ('payloads', 0) on conflict do nothing;

alter table raw.payloads add column if not exists stored_bytes bigint check (stored_bytes >= 0);
comment on column raw.payloads.stored_bytes is
'Size on S3, compressed; null where nothing of it was moved yet, or before this was noted.';

create or replace function ops.count_stored_bytes() returns trigger
language plpgsql
as $$
declare
  change bigint;
begin
  select coalesce(sum(case when after.uri is not null then after.stored_bytes end), 0)
         - coalesce(sum(case when before.uri is not null then before.stored_bytes end), 0) into change
  from after inner join before on after.sha256 = before.sha256;
  if change <> 0 then
    update ops.layer_sizes set size_bytes = size_bytes + change where layer = 'payloads';
  end if;
  return null;
end
$$;
comment on function ops.count_stored_bytes() is 'Trigger: how much of raw.payloads lies on S3.';
create or replace trigger count_stored_bytes after update on raw.payloads
referencing old table as before new table as after for each statement execute function ops.count_stored_bytes();

create or replace function ops.real_now() returns timestamptz
language sql
as $$ select clock_timestamp() $$;
comment on function ops.real_now() is 'Real time, whatever the store''s clock says: for how long people wait for machines.';

create table if not exists ops.archived_until (
  layer text primary key check (layer in ('parquet', 'history')),
  until timestamptz not null
);
comment on table ops.archived_until is 'How far the archive has come. Real time, never the store''s clock.';
comment on column ops.archived_until.layer is 'parquet (the exported files) or history.';
comment on column ops.archived_until.until is 'What was committed before this lies there, UTC; at first when this table was made.';
insert into ops.archived_until (layer, until) values ('parquet', ops.real_now()), ('history', ops.real_now())
on conflict do nothing;

create table if not exists ops.api_durations (
  endpoint text not null,
  status text not null check (status ~ '^[1-5]xx$'),
  le double precision not null check (le > 0),
  requests bigint not null check (requests >= 0),
  seconds double precision not null check (seconds >= 0),
  primary key (endpoint, status, le)
);
comment on table ops.api_durations is
'How long the REST API took to answer, over all its processes, which add to it every few seconds. Real time.';
comment on column ops.api_durations.endpoint is 'The path that was asked, for example /v1/latest.';
comment on column ops.api_durations.status is 'Class of the answer''s status, for example 2xx.';
comment on column ops.api_durations.le is 'At most so many seconds, and more than those of the row before; infinity above all.';
comment on column ops.api_durations.requests is 'How many requests took so long.';
comment on column ops.api_durations.seconds is 'How long they took together.';

-- As before, and what metrics tell.
create or replace function ops.grant_roles() returns void
language plpgsql
as $$
declare
  of_function record;
begin
  -- What anybody could make, a function with its owner's rights might take for something else.
  execute format('revoke create, temporary on database %I from public', current_database());
  if to_regnamespace('public') is not null then
    revoke create on schema public from public;
  end if;
  -- Anybody may call a function unless told otherwise.
  revoke execute on all functions in schema registry, raw, staging, normalized, features, quality, ops from public;
  alter default privileges revoke execute on functions from public;

  if not (ops.make_role('feature_store_reader') and ops.make_role('feature_store_publisher')) then
    raise notice '% may not make the roles feature_store_reader and feature_store_publisher, so the API uses the login of the owner. Have an administrator make them (create role feature_store_reader nologin; create role feature_store_publisher nologin), then run: select ops.grant_roles()', current_user using errcode = 'FS001';
    return;
  end if;

  grant usage on schema registry, raw, features, quality, ops to feature_store_reader;
  grant select on all tables in schema registry, features, quality to feature_store_reader;
  -- dbt makes its tables and views anew, and partitions are made every day.
  alter default privileges in schema registry, features, quality grant select on tables to feature_store_reader;
  grant select on raw.fetches, raw.payloads, raw.rejects to feature_store_reader;
  grant select on ops.clock, ops.migrations, ops.feature_writes, ops.retired_days, ops.iceberg_tables,
    ops.iceberg_namespace_properties to feature_store_reader;
  -- What metrics and dashboards tell.
  grant select on ops.fetch_counts, ops.reject_counts, ops.api_durations, ops.layer_sizes, ops.archived_until,
    ops.exported_files, ops.dirty_days, ops.circuits, ops.gaps to feature_store_reader;

  grant usage on schema features, ops to feature_store_publisher;
  grant select on ops.clock, ops.retired_days, ops.api_keys to feature_store_publisher;
  grant select, insert, update, delete on ops.api_leases to feature_store_publisher;
  grant select, insert, update on ops.api_reads, ops.api_durations to feature_store_publisher;

  for of_function in
    select oid::regprocedure as signature, granted.to_role
    from pg_proc inner join (
      values
      ('ops.now', 'feature_store_reader'),
      ('ops.real_now', 'feature_store_reader'),
      ('registry.normal_unit', 'feature_store_reader'),
      ('features.as_of', 'feature_store_reader'),
      ('features.as_stored', 'feature_store_reader'),
      ('features.latest_as_of', 'feature_store_reader'),
      ('features.closed_time', 'feature_store_reader'),
      ('ops.now', 'feature_store_publisher'),
      ('features.publish', 'feature_store_publisher')
    ) as granted (called, to_role) on granted.called = pronamespace::regnamespace || '.' || proname
  loop
    execute format('grant execute on function %s to %I', of_function.signature, of_function.to_role);
  end loop;
end
$$;

-- Where they could not be made, 0021 has said so.
select ops.grant_roles() from pg_roles
where rolname = 'feature_store_reader';
