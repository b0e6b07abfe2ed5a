-- The one writer: features.append_versions is the only code that writes feature tables.

-- CREATE ... LIKE and ATTACH lock the parent far more weakly than PARTITION OF, so readers do not stall.
create or replace function features.attach_partition(
  parent text, suffix text, lower_end timestamptz, upper_end timestamptz
)
returns boolean
language plpgsql
as $$
declare
  partition_name text := parent || '_' || suffix;
begin
  if to_regclass('features.' || quote_ident(partition_name)) is not null then
    return false;
  end if;
  perform pg_advisory_xact_lock(hashtext('features.' || partition_name));
  if to_regclass('features.' || quote_ident(partition_name)) is not null then
    return false;
  end if;
  perform set_config('lock_timeout', '5s', true);
  execute format('create table features.%I (like features.%I including all)', partition_name, parent);
  execute format('alter table features.%I attach partition features.%I for values from (%L) to (%L)',
                 parent, partition_name, lower_end, upper_end);
  perform set_config('lock_timeout', '0', true);
  return true;
end
$$;
comment on function features.attach_partition(text, text, timestamptz, timestamptz) is
'Create and attach one partition unless it exists; says whether it did.';

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
comment on function features.ensure_partitions(text, timestamptz, timestamptz) is
'Make the partitions of a grain (daily: by year, intraday: by day, UTC) that cover a range; returns how many were made.';

-- Literal bounds let the planner prune partitions. A candidate is held when the newest row of its
-- (ts, available_at) says the same; only corrected keys have more than one.
create or replace function features.insert_fresh(
  candidates regclass, of_grain text, first_ts timestamptz, last_ts timestamptz
)
returns bigint
language plpgsql
set timezone = 'UTC'
set work_mem = '512MB' -- one hash of a million candidates instead of many on disk
as $$
declare
  fresh bigint;
begin
  execute format($sql$
    insert into fresh_versions
      (feature_id, version, grain, ts, value, available_at, available_basis, ingested_at, is_provisional, confidence,
       meta, evidence, correction)
    select c.feature_id, c.version, c.grain, c.ts, c.value, c.available_at, c.available_basis, 'epoch',
           c.is_provisional, c.confidence, c.meta, c.evidence, 0
    from %1$s as c
    where c.grain = %2$L and not exists (
      select from features.features_versions as v
      where v.grain = %2$L and v.ts between %3$L and %4$L
        and v.feature_id = c.feature_id and v.version = c.version
        and v.ts = c.ts and v.available_at = c.available_at
        and v.value is not distinct from c.value
        and v.is_provisional = c.is_provisional and v.available_basis = c.available_basis
        and not exists (
          select from features.features_versions as n
          where n.grain = %2$L and n.ts between %3$L and %4$L and n.correction > 0
            and n.feature_id = v.feature_id and n.version = v.version
            and n.ts = v.ts and n.available_at = v.available_at and n.correction > v.correction
        )
    )
  $sql$, candidates, of_grain, first_ts, last_ts);
  get diagnostics fresh = row_count;
  execute format($sql$
    update fresh_versions as f
    set correction = held.rows
    from (
      select v.feature_id, v.version, v.ts, v.available_at, count(*) as rows
      from features.features_versions as v
      join fresh_versions as k using (feature_id, version, grain, ts, available_at)
      where v.grain = %1$L and v.ts between %2$L and %3$L
      group by 1, 2, 3, 4
    ) as held
    where f.feature_id = held.feature_id and f.version = held.version
      and f.ts = held.ts and f.available_at = held.available_at
  $sql$, of_grain, first_ts, last_ts);
  return fresh;
end
$$;
comment on function features.insert_fresh(regclass, text, timestamptz, timestamptz) is
'Part of append_versions: collect into fresh_versions the candidates of one grain that are not held yet; how many.';

-- Literal bounds let the planner prune partitions. The writers' lock makes "not there" safe, so new points are plainly
-- inserted, which costs half of what ON CONFLICT does.
create or replace function features.refresh_values_of(
  of_grain text, first_ts timestamptz, last_ts timestamptz, stamp timestamptz
)
returns void
language plpgsql
set timezone = 'UTC'
as $$
begin
  execute format($sql$
    delete from features.features_values as v using touched_points as t
    where t.value is null and v.grain = %1$L and v.ts between %2$L and %3$L
      and v.feature_id = t.feature_id and v.ts = t.ts and v.available_at <= t.available_at
  $sql$, of_grain, first_ts, last_ts);
  execute format($sql$
    update features.features_values as v set
      value = t.value, confidence = t.confidence, is_provisional = t.is_provisional, available_at = t.available_at,
      available_basis = t.available_basis, ingested_at = %4$L, meta = t.meta, evidence = t.evidence,
      version = t.version
    from touched_points as t
    where t.value is not null and v.grain = %1$L and v.ts between %2$L and %3$L
      and v.feature_id = t.feature_id and v.ts = t.ts and v.available_at <= t.available_at
  $sql$, of_grain, first_ts, last_ts, stamp);
  execute format($sql$
    insert into features.features_values
      (feature_id, grain, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta,
       evidence, version)
    select t.feature_id, t.grain, t.ts, t.value, t.confidence, t.is_provisional, t.available_at, t.available_basis,
           %4$L, t.meta, t.evidence, t.version
    from touched_points as t
    where t.value is not null and t.grain = %1$L
      and not exists (
        select from features.features_values as v
        where v.grain = %1$L and v.ts between %2$L and %3$L and v.feature_id = t.feature_id and v.ts = t.ts
      )
      and not exists (
        select from features.features_versions as w
        where w.value is null and w.grain = %1$L and w.ts between %2$L and %3$L
          and w.feature_id = t.feature_id and w.version = t.version and w.ts = t.ts
          and w.available_at > t.available_at
      )
  $sql$, of_grain, first_ts, last_ts, stamp);
end
$$;
comment on function features.refresh_values_of(text, timestamptz, timestamptz, timestamptz) is
'Part of append_versions: bring features_values of one grain to the state of touched_points.';

create or replace function features.refresh_values(stamp timestamptz) returns void
language plpgsql
set timezone = 'UTC'
as $$
declare
  span record;
begin
  create temp table newest_definition on commit drop as
  select f.feature_id, max(f.version) as fresh_version,
         (select max(c.version) from features.current_definitions as c where c.feature_id = f.feature_id) as version
  from fresh_versions as f group by f.feature_id;
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
  from fresh_versions as f join newest_definition as d using (feature_id, version)
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

  insert into features.latest_values as l
    (feature_id, ts, value, confidence, is_provisional, available_at, available_basis, ingested_at, meta, evidence,
     version)
  select n.feature_id, n.ts, n.value, n.confidence, n.is_provisional, n.available_at, n.available_basis,
         n.ingested_at, n.meta, n.evidence, n.version
  from newest_definition as d
  cross join lateral (
    -- Without a row here the feature is new or lost its newest point: look through all partitions, newest first.
    select * from features.features_values as v
    where v.feature_id = d.feature_id
      and v.ts >= coalesce((select k.ts from features.latest_values as k where k.feature_id = d.feature_id), '-infinity')
    order by v.ts desc limit 1
  ) as n
  on conflict (feature_id) do update set
    ts = excluded.ts, value = excluded.value, confidence = excluded.confidence,
    is_provisional = excluded.is_provisional, available_at = excluded.available_at,
    available_basis = excluded.available_basis, ingested_at = excluded.ingested_at, meta = excluded.meta,
    evidence = excluded.evidence, version = excluded.version;

  drop table newest_definition, touched_points;
end
$$;
comment on function features.refresh_values(timestamptz) is
'Part of append_versions: bring features_values and latest_values to the state that fresh_versions made.';

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
  select distinct feature_id, grain, date_trunc('day', ts) as day from fresh_versions;
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

  insert into ops.dirty_days as d (feature_id, day)
  select feature_id, day::date from touched_days
  on conflict (feature_id, day) do update set marked_xid = excluded.marked_xid;
  drop table touched_days;

  return query select fresh, total - fresh;
end
$$;
comment on function features.append_versions(regclass) is
'The one writer. Takes a relation of candidates (feature_id, version, grain, ts, value, available_at, available_basis, is_provisional, confidence, meta, evidence), appends those that say something new, and keeps values, latest and dirty days true, all in the caller''s transaction.';
