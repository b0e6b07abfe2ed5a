-- Schemas, the clock and the bookkeeping of consumers.

create schema if not exists registry;
create schema if not exists raw;
create schema if not exists staging;
create schema if not exists normalized;
create schema if not exists features;
create schema if not exists quality;
create schema if not exists ops;

comment on schema registry is 'The catalog as the database knows it; git is where it is written.';
comment on schema raw is 'What the sources answered: append-only, shaped like the source.';
comment on schema staging is 'dbt views that rename and cast raw tables.';
comment on schema normalized is 'dbt views that map series to features, scaled, with every version.';
comment on schema features is 'Feature tables: versions (the truth), values, latest.';
comment on schema quality is 'Verdicts of the data-quality checks.';
comment on schema ops is 'The clock, migrations, watermarks, dirty days, rate budgets.';

create table if not exists ops.clock (
  id boolean primary key default true check (id),
  mode text not null default 'real' check (mode in ('real', 'offset', 'frozen')),
  shift interval not null default interval '0',
  frozen_at timestamptz,
  check ((mode = 'frozen') = (frozen_at is not null))
);
comment on table ops.clock is 'What this store takes for now: the real time, a shifted one, or a frozen instant. One row.';
comment on column ops.clock.id is 'Always true: there is one clock.';
comment on column ops.clock.mode is 'real, offset (real plus shift) or frozen (frozen_at, standing still).';
comment on column ops.clock.shift is 'Added to the real time when mode is offset.';
comment on column ops.clock.frozen_at is 'The instant the clock stands at when mode is frozen.';
insert into ops.clock default values on conflict do nothing;

-- clock_timestamp(), not now(): ingested_at is stamped at the end of a transaction, not at its start.
create or replace function ops.now() returns timestamptz
language sql stable parallel safe
as $$
  select case mode when 'real' then clock_timestamp()
                   when 'offset' then clock_timestamp() + shift
                   else frozen_at end
  from ops.clock
$$;
comment on function ops.now() is 'The store''s now, UTC. The only source of "now" for virtual time in SQL.';

create table if not exists ops.watermarks (
  consumer text primary key,
  done_xid xid8 not null default '0',
  open_xid xid8 not null default '0',
  updated_at timestamptz not null default ops.now()
);
comment on table ops.watermarks is 'How far each consumer of append-only tables has read, by transaction id.';
comment on column ops.watermarks.consumer is 'Who reads, for example transform.';
comment on column ops.watermarks.done_xid is 'Rows of transactions below this id are done with.';
comment on column ops.watermarks.open_xid is 'The current run reads rows with done_xid <= xid < open_xid: all of them are committed.';
comment on column ops.watermarks.updated_at is 'When the window last moved.';

-- Rows of transactions below pg_snapshot_xmin are committed (or gone), whatever order they committed in.
create or replace function ops.open_window(who text) returns void
language sql
as $$
  insert into ops.watermarks as w (consumer, open_xid)
  values (who, pg_snapshot_xmin(pg_current_snapshot()))
  on conflict (consumer) do update set open_xid = excluded.open_xid, updated_at = ops.now()
$$;
comment on function ops.open_window(text) is 'Fix the upper end of what a run will read.';

create or replace function ops.close_window(who text) returns void
language sql
as $$
  update ops.watermarks set done_xid = open_xid, updated_at = ops.now() where consumer = who
$$;
comment on function ops.close_window(text) is 'Mark what the run read as done.';
