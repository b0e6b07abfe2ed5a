-- Partitions are made and appended to without locking the rest; what was newest at an instant; the formulas noted.

-- CREATE ... LIKE and ATTACH lock the parent far more weakly than PARTITION OF, so readers do not stall. One ATTACH
-- excludes another until its transaction ends: their makers queue at a lock of their own, in nobody else's way.
create or replace function features.attach_partition(
  parent text, suffix text, lower_end timestamptz, upper_end timestamptz
)
returns boolean
language plpgsql
as $$
declare
  partition_name text := parent || '_' || suffix;
  patience text := current_setting('lock_timeout');
begin
  if to_regclass('features.' || quote_ident(partition_name)) is not null then
    return false;
  end if;
  perform pg_advisory_xact_lock(hashtext('features.attach_partition'));
  -- Asked of the table itself: waiting for an advisory lock does not refresh what to_regclass remembers.
  if exists (select from pg_class where relname = partition_name and relnamespace = 'features'::regnamespace) then
    return false;
  end if;
  begin
    if patience = '0' then
      perform set_config('lock_timeout', '5s', true);
    end if;
    execute format('create table features.%I (like features.%I including all)', partition_name, parent);
    execute format('alter table features.%I attach partition features.%I for values from (%L) to (%L)',
                   parent, partition_name, lower_end, upper_end);
    perform set_config('lock_timeout', patience, true);
  exception when lock_not_available then
    raise exception 'partition % could not be attached: features.% stayed locked by %', partition_name, parent, (
        select coalesce(string_agg(distinct format('session %s', pid), ', '), 'a session that has just ended')
        from pg_locks
        where granted and pid <> pg_backend_pid() and relation = to_regclass('features.' || quote_ident(parent))
          and mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
      )
      using errcode = 'lock_not_available',
            hint = 'Nothing was changed: try again when that session is done; pg_stat_activity tells what it does.';
  end;
  return true;
end
$$;
comment on function features.attach_partition(text, text, timestamptz, timestamptz) is
'Create and attach one partition unless it exists; says whether it did. Waits for a locked table for lock_timeout, 5 s where none is set, then fails naming the sessions that hold it.';

create or replace function features.ensure_partitions(of_grain text, first_ts timestamptz, last_ts timestamptz)
returns int
language plpgsql
set timezone = 'UTC'
as $$
declare
  unit text := case of_grain when 'daily' then 'year' else 'day' end;
  label text := case of_grain when 'daily' then 'YYYY' else 'YYYYMMDD' end;
  lower_end timestamptz;
  made int := 0;
begin
  if not (isfinite(first_ts) and isfinite(last_ts)) then
    raise exception 'no partition reaches from % to %', first_ts, last_ts
      using errcode = 'datetime_field_overflow', hint = 'ts is an instant: find out where this one comes from.';
  end if;
  for lower_end in
    select generate_series(date_trunc(unit, first_ts), date_trunc(unit, last_ts), ('1 ' || unit)::interval)
  loop
    made := made
      + features.attach_partition('features_versions_' || of_grain, to_char(lower_end, label),
                                  lower_end, lower_end + ('1 ' || unit)::interval)::int
      + features.attach_partition('features_values_' || of_grain, to_char(lower_end, label),
                                  lower_end, lower_end + ('1 ' || unit)::interval)::int;
  end loop;
  return made;
end
$$;

-- Each partition written to costs locks until the transaction ends, and a server's default has room for some thousands.
create or replace function features.slices(candidates regclass, width int default 31)
returns table (slice int, condition text)
language plpgsql
set timezone = 'UTC'
as $$
begin
  return query execute format($sql$
    with partitions as (
      select distinct grain, date_trunc(case grain when 'daily' then 'year' else 'day' end, ts) as lower_end from %1$s
    ),
    numbered as (
      select *, case grain
        when 'daily' then extract(year from max(lower_end) over grains)::int - extract(year from lower_end)::int
        else extract(day from max(lower_end) over grains - lower_end)::int
      end / %2$s as slice
      from partitions window grains as (partition by grain)
    ),
    spans as (
      select slice, grain, min(lower_end) as lower_end,
             max(lower_end) + case grain when 'daily' then interval '1 year' else interval '1 day' end as upper_end
      from numbered group by slice, grain
    )
    select slice, string_agg(format('(grain = %%L and ts >= %%L and ts < %%L)', grain, lower_end, upper_end), ' or ')
    from spans group by slice order by slice
  $sql$, candidates, width);
end
$$;
comment on function features.slices(regclass, int) is
'Cut a relation of candidates by ts into what one transaction may append: conditions on grain and ts, newest first, each of at most width partitions (days of intraday features, years of daily ones).';

create or replace function features.make_partitions(candidates regclass)
returns int
language plpgsql
set timezone = 'UTC'
as $$
declare
  made int;
begin
  execute format($sql$
    select coalesce(sum(features.ensure_partitions(grain, lower_end, lower_end)), 0)
    from (
      select distinct grain, date_trunc(case grain when 'daily' then 'year' else 'day' end, ts) as lower_end from %s
    ) as partitions
  $sql$, candidates) into made;
  return made;
end
$$;
comment on function features.make_partitions(regclass) is
'Make the partitions that a relation of candidates needs; returns how many were missing. Committed before the candidates are appended, it keeps other writers waiting for that long only.';

create or replace function features.refresh_values(stamp timestamptz) returns void
language plpgsql
set timezone = 'UTC'
as $$
declare
  span record;
begin
  create temp table newest_definition on commit drop as
  select f.feature_id, f.grain, max(f.version) as fresh_version,
         (select max(c.version) from features.current_definitions as c where c.feature_id = f.feature_id) as version
  from fresh_versions as f group by f.feature_id, f.grain;
  update newest_definition set version = fresh_version where version is null;

  -- Values of an older definition go; latest_values tells cheaply whether there are any.
  if exists (select from features.latest_values as l join newest_definition as d using (feature_id)
             where l.version < d.version) then
    delete from features.features_values as v using newest_definition as d
    where v.feature_id = d.feature_id and v.version < d.version;
    delete from features.latest_values as l using newest_definition as d
    where l.feature_id = d.feature_id and l.version < d.version;
  end if;

  -- State of the touched points: the greatest (available_at, ingested_at); every fresh row has the same ingested_at.
  -- Written in the order of the index of features_values.
  create temp table touched_points on commit drop as
  select distinct on (f.feature_id, f.ts) f.*
  from fresh_versions as f join newest_definition as d using (feature_id, grain, version)
  order by f.feature_id, f.ts desc, f.available_at desc;
  if (select count(*) from touched_points) > 10000 then
    analyze touched_points;
  end if;

  for span in select t.grain, min(t.ts) as first_ts, max(t.ts) as last_ts from touched_points as t group by t.grain
  loop
    perform features.refresh_values_of(span.grain, span.first_ts, span.last_ts, stamp);
  end loop;

  delete from features.latest_values as l using touched_points as t
  where t.value is null and t.feature_id = l.feature_id and t.ts = l.ts and t.available_at >= l.available_at;

  -- Literal bounds: the planner locks every partition that it cannot prune.
  for span in
    select d.grain, min(coalesce(l.ts, '-infinity')) as since
    from newest_definition as d left join features.latest_values as l using (feature_id) group by d.grain
  loop
    execute format($sql$
      insert into features.latest_values as l
        (feature_id, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta, evidence,
         version)
      select n.feature_id, n.ts, n.value, n.confidence, n.is_provisional, n.available_at, n.available_basis,
             n.ingested_at, n.meta, n.evidence, n.version
      from newest_definition as d
      left join features.latest_values as k using (feature_id)
      cross join lateral (
        -- Without a row in latest_values the feature is new or lost its newest point: look from the newest partition on.
        select * from features.features_values as v
        where v.grain = %1$L and v.ts >= %2$L and v.feature_id = d.feature_id and v.ts >= coalesce(k.ts, '-infinity')
        order by v.ts desc limit 1
      ) as n
      where d.grain = %1$L
      on conflict (feature_id) do update set
        ts = excluded.ts, value = excluded.value, confidence = excluded.confidence,
        is_provisional = excluded.is_provisional, available_at = excluded.available_at,
        available_basis = excluded.available_basis, ingested_at = excluded.ingested_at, meta = excluded.meta,
        evidence = excluded.evidence, version = excluded.version
    $sql$, span.grain, span.since);
  end loop;

  drop table newest_definition, touched_points;
end
$$;

comment on function features.as_of(timestamptz, timestamptz) is
'State (K, S): per feature, definition version and ts the newest version available by known_at among those stored by stored_at. A null value is a withdrawn point. Name a feature_id and bound ts: both are pushed down, and only the partitions of ts are read. Example: select ts, value from features.as_of(''2024-03-01 12:00Z'') where feature_id = ''macro/us/walcl_total_usd'' and ts >= ''2023-09-01'' order by ts';
comment on function features.as_stored(timestamptz) is
'State (infinity, S): what this store held at stored_at, whatever it has learnt since; for audits. Reads as features.as_of does. Example: select ts, value from features.as_stored(''2024-03-01 12:00Z'') where feature_id = ''macro/us/walcl_total_usd'' and ts >= ''2023-09-01'' order by ts';

create or replace function features.latest_as_of(known_at timestamptz, stored_at timestamptz default 'infinity')
returns table (
  feature_id text, version int, ts timestamptz, value double precision, confidence double precision,
  is_provisional boolean, available_at timestamptz, available_basis text, ingested_at timestamptz,
  meta jsonb, evidence jsonb
)
language sql stable parallel safe
as $$
  select newest.*
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
  where definition.is_current
$$;
comment on function features.latest_as_of(timestamptz, timestamptz) is
'The newest point of every feature of the catalog in state (K, S), of its current definition: ts is at or before known_at and stored_at, withdrawn points are left out, a feature without a point then has no row. Example: select feature_id, ts, value from features.latest_as_of(''2024-03-01 12:00Z'')';

create table if not exists registry.formulas (
  feature_id text not null,
  version int not null,
  model text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  noted_at timestamptz not null default ops.now(),
  primary key (feature_id, version)
);
comment on table registry.formulas is
'By which formula each version of a derived feature was computed first: another one needs a higher version.';
comment on column registry.formulas.feature_id is 'The derived feature.';
comment on column registry.formulas.version is 'Version of its definition.';
comment on column registry.formulas.model is 'The dbt model that computed it.';
comment on column registry.formulas.sha256 is 'Hash of the model''s SQL and of the macros in it, without comments and spaces.';
comment on column registry.formulas.noted_at is 'When a build met it first, UTC, by the store''s clock.';
