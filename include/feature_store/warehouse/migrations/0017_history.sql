-- The history on S3, which days of which features lie only there, and the writer that brings them back.

-- Where pyiceberg keeps which metadata file is the table's newest: a commit is one update here.
create table if not exists ops.iceberg_tables (
  catalog_name varchar(255) not null,
  table_namespace varchar(255) not null,
  table_name varchar(255) not null,
  metadata_location varchar(1000),
  previous_metadata_location varchar(1000),
  iceberg_type varchar(5),
  primary key (catalog_name, table_namespace, table_name)
);
comment on table ops.iceberg_tables is
'pyiceberg''s catalog: which metadata file is the newest of the history on S3. Written by pyiceberg alone.';
comment on column ops.iceberg_tables.catalog_name is 'Name of the catalog: feature_store.';
comment on column ops.iceberg_tables.table_namespace is 'Namespace of the table: feature_store.';
comment on column ops.iceberg_tables.table_name is 'Name of the table: features_versions.';
comment on column ops.iceberg_tables.metadata_location is 'The newest metadata file: from it any engine reads the table.';
comment on column ops.iceberg_tables.previous_metadata_location is 'The one before it.';
comment on column ops.iceberg_tables.iceberg_type is 'TABLE.';

create table if not exists ops.iceberg_namespace_properties (
  catalog_name varchar(255) not null,
  namespace varchar(255) not null,
  property_key varchar(255) not null,
  property_value varchar(1000) not null,
  primary key (catalog_name, namespace, property_key)
);
comment on table ops.iceberg_namespace_properties is 'pyiceberg''s catalog: its namespaces. Written by pyiceberg alone.';
comment on column ops.iceberg_namespace_properties.catalog_name is 'Name of the catalog: feature_store.';
comment on column ops.iceberg_namespace_properties.namespace is 'The namespace.';
comment on column ops.iceberg_namespace_properties.property_key is 'Name of a property.';
comment on column ops.iceberg_namespace_properties.property_value is 'Its value.';

create table if not exists ops.retired_days (
  feature_id text not null,
  day date not null,
  rows bigint not null check (rows > 0),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  retired_at timestamptz not null default ops.now(),
  primary key (feature_id, day)
);
comment on table ops.retired_days is
'The days of intraday features whose versions lie in the history on S3 alone. A day of a feature is either here or wholly in features.features_versions, never in parts.';
comment on column ops.retired_days.feature_id is 'Name of the feature.';
comment on column ops.retired_days.day is 'UTC day of ts.';
comment on column ops.retired_days.rows is 'How many versions it has.';
comment on column ops.retired_days.sha256 is
'Their digest, as the history was found to hold it before they were dropped; null while they stand aside to be compared.';
comment on column ops.retired_days.retired_at is 'When it left the feature tables, UTC, by the store''s clock.';

create table if not exists ops.restored_days (
  feature_id text not null,
  day date not null,
  restored_at timestamptz not null default ops.now(),
  primary key (feature_id, day)
);
comment on table ops.restored_days is
'Retired days that somebody asked to have back: retention leaves them for as long again as it leaves new ones.';
comment on column ops.restored_days.feature_id is 'Name of the feature.';
comment on column ops.restored_days.day is 'UTC day of ts.';
comment on column ops.restored_days.restored_at is 'When it came back, UTC, by the store''s clock.';

-- As before, but that a retired day must be brought back first: what is held decides what is new.
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

-- What comes back is no news: it keeps ingested_at and xid, and no day is dirty or changed by it.
create or replace function features.append_versions(held regclass, restoring boolean)
returns table (inserted bigint, duplicate bigint)
language plpgsql
set timezone = 'UTC'
as $$
declare
  total bigint;
  fresh bigint;
begin
  if not restoring then
    return query select * from features.append_versions(held);
    return;
  end if;
  drop table if exists pg_temp.returning_days;
  execute format($sql$
    create temp table returning_days on commit drop as
    select feature_id, date_trunc('day', ts) as day, count(*) as rows from %s group by 1, 2
  $sql$, held);
  if exists (
    select from ops.retired_days as r join returning_days as d on r.feature_id = d.feature_id and r.day = d.day::date
    where r.rows <> d.rows
  ) then
    raise exception 'a day does not come back as it left: %', (
        select format('%s on %s had %s versions, now %s', r.feature_id, r.day, r.rows, d.rows)
        from ops.retired_days as r join returning_days as d on r.feature_id = d.feature_id and r.day = d.day::date
        where r.rows <> d.rows limit 1)
      using hint = 'Nothing was changed. feature-store archive verify tells what else the history lacks.';
  end if;
  select coalesce(sum(d.rows), 0) into total from returning_days as d;
  insert into ops.feature_writes (feature_id)
  select distinct feature_id from returning_days order by 1 on conflict do nothing;
  perform from ops.feature_writes
  where feature_id in (select feature_id from returning_days) order by feature_id for update;
  perform features.ensure_partitions('intraday', day, day) from (select distinct day from returning_days) as needed;

  execute format($sql$
    insert into features.features_versions
      (feature_id, version, grain, ts, value, available_at, available_basis, ingested_at, is_provisional, confidence,
       meta, evidence, correction, xid)
    select feature_id, version, 'intraday', ts, value, available_at, available_basis, ingested_at, is_provisional,
           confidence, meta::jsonb, evidence::jsonb, correction, xid::text::xid8
    from %s
    on conflict do nothing
  $sql$, held);
  get diagnostics fresh = row_count;
  execute format($sql$
    insert into features.features_values
      (feature_id, grain, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta,
       evidence, version)
    select feature_id, 'intraday', ts, value, confidence, is_provisional, available_at, available_basis, ingested_at,
           meta::jsonb, evidence::jsonb, version
    from (
      select distinct on (h.feature_id, h.ts) h.*
      from %1$s as h
      join (
        select n.feature_id, coalesce(
          (select max(c.version) from features.current_definitions as c where c.feature_id = n.feature_id), max(n.version)
        ) as version
        from %1$s as n group by n.feature_id
      ) as newest using (feature_id, version)
      order by h.feature_id, h.ts, h.available_at desc, h.ingested_at desc
    ) as state
    where value is not null
    on conflict do nothing
  $sql$, held);
  delete from ops.retired_days as r using returning_days as d where r.feature_id = d.feature_id and r.day = d.day::date;
  drop table returning_days;
  return query select fresh, total - fresh;
end
$$;
comment on function features.append_versions(regclass, boolean) is
'The one writer, restoring: takes a relation of versions of intraday features as they were held (the columns of features.features_versions but for grain), whole days of features, and puts them back with their ingested_at. What is held already is left alone. Such days are no longer retired, and nobody is told of news.';

-- Locks and what they guard, in one transaction: from its end on readers find the day in the history, and writers hear
-- that it is retired.
create or replace function features.detach_day(of_day date, done_xid xid8, kept text[])
returns text
language plpgsql
set timezone = 'UTC'
as $$
declare
  suffix text := to_char(of_day, 'YYYYMMDD');
  leaving text[];
  staying boolean;
  is_early boolean;
begin
  -- Readers and writers of the day have precedence: a later run finds it again.
  perform set_config('lock_timeout', '2s', true);
  begin
    execute format('lock table only features.features_versions_intraday, only features.features_values_intraday, '
                   'features.features_versions_intraday_%1$s, features.features_values_intraday_%1$s '
                   'in access exclusive mode', suffix);
    execute format('select array_agg(distinct feature_id) filter (where feature_id <> all(%L)), '
                   'bool_or(feature_id = any(%1$L)) from features.features_versions_intraday_%2$s', kept, suffix)
    into leaving, staying;
    if leaving is null then
      return 'nothing to retire';
    end if;
    perform from ops.feature_writes where feature_id = any(leaving) order by feature_id for update;
  exception when lock_not_available then
    return 'busy';
  end;
  execute format('select exists (select from features.features_versions_intraday_%s '
                 'where feature_id = any(%L) and xid >= %L)', suffix, leaving, done_xid) into is_early;
  if is_early then
    return 'not in the history yet';
  elsif exists (select from ops.dirty_days where day = of_day and feature_id = any(leaving)) then
    return 'not exported yet';
  end if;

  execute format('alter table features.features_versions_intraday '
                 'detach partition features.features_versions_intraday_%s', suffix);
  execute format('alter table features.features_values_intraday '
                 'detach partition features.features_values_intraday_%s', suffix);
  execute format('alter table features.features_versions_intraday_%1$s rename to retiring_versions_%1$s', suffix);
  execute format('alter table features.features_values_intraday_%1$s rename to retiring_values_%1$s', suffix);
  execute format('insert into ops.retired_days (feature_id, day, rows) '
                 'select feature_id, %L, count(*) from features.retiring_versions_%s '
                 'where feature_id = any(%L) group by feature_id', of_day, suffix, leaving);
  if staying then
    execute format('create temp view staying_versions as select * from features.retiring_versions_%s '
                   'where feature_id <> all(%L)', suffix, leaving);
    perform features.append_versions('staying_versions', true);
    drop view staying_versions;
  end if;
  return 'detached';
end
$$;
comment on function features.detach_day(date, xid8, text[]) is
'Part of retention: set a day of intraday features aside, as features.retiring_versions_YYYYMMDD and retiring_values_YYYYMMDD, and note it in ops.retired_days, but for the features that are kept. Says detached, or why not: busy, nothing to retire, not in the history yet (rows of transactions from done_xid on), not exported yet.';

create or replace function features.drop_day(of_day date)
returns void
language plpgsql
as $$
declare
  suffix text := to_char(of_day, 'YYYYMMDD');
begin
  if exists (select from ops.retired_days where day = of_day and sha256 is null) then
    raise exception 'the versions of % have not been found in the history', of_day
      using hint = 'Compare them first: only what the history holds may be dropped.';
  end if;
  delete from ops.restored_days as back using ops.retired_days as gone
  where back.day = of_day and gone.day = of_day and back.feature_id = gone.feature_id;
  execute format('drop table features.retiring_versions_%1$s, features.retiring_values_%1$s', suffix);
end
$$;
comment on function features.drop_day(date) is
'Part of retention: drop a day that stands aside, once each of its features was found in the history.';

create or replace function features.reattach_day(of_day date)
returns void
language plpgsql
set timezone = 'UTC'
as $$
declare
  suffix text := to_char(of_day, 'YYYYMMDD');
begin
  execute format('delete from ops.retired_days where day = %L and feature_id in '
                 '(select feature_id from features.retiring_versions_%s)', of_day, suffix);
  -- With a new partition in its place, rows go back one by one.
  if to_regclass(format('features.features_versions_intraday_%s', suffix)) is not null then
    perform features.append_versions(format('features.retiring_versions_%s', suffix)::regclass, true);
    execute format('drop table features.retiring_versions_%1$s, features.retiring_values_%1$s', suffix);
    return;
  end if;
  execute format('alter table features.retiring_versions_%1$s rename to features_versions_intraday_%1$s', suffix);
  execute format('alter table features.retiring_values_%1$s rename to features_values_intraday_%1$s', suffix);
  execute format('alter table features.features_versions_intraday attach partition '
                 'features.features_versions_intraday_%s for values from (%L) to (%L)',
                 suffix, of_day::timestamptz, (of_day + 1)::timestamptz);
  execute format('alter table features.features_values_intraday attach partition '
                 'features.features_values_intraday_%s for values from (%L) to (%L)',
                 suffix, of_day::timestamptz, (of_day + 1)::timestamptz);
end
$$;
comment on function features.reattach_day(date) is
'Part of retention: put a day that stands aside back into the feature tables; it is not retired.';
