-- What the archive knows: the files it wrote, and which payloads are still to be moved.

create table if not exists ops.exported_files (
  feature_id text not null,
  day date not null,
  uri text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  rows bigint not null check (rows > 0),
  size_bytes bigint not null check (size_bytes > 0),
  exported_at timestamptz not null,
  primary key (feature_id, day)
);
comment on table ops.exported_files is
'The Parquet files on S3, one per feature and UTC day that has points: a file is written again only when its bytes differ.';
comment on column ops.exported_files.feature_id is 'Name of the feature.';
comment on column ops.exported_files.day is 'UTC day of ts.';
comment on column ops.exported_files.uri is 'Where the file lies.';
comment on column ops.exported_files.sha256 is 'SHA-256 of the file, lower-case hex.';
comment on column ops.exported_files.rows is 'How many points it holds.';
comment on column ops.exported_files.size_bytes is 'Its size.';
comment on column ops.exported_files.exported_at is 'When S3 took it, by the clock of S3 (real time).';

create index if not exists payloads_to_move on raw.payloads (sha256) where content is not null;
create index if not exists fetches_payload on raw.fetches (sha256);

-- A point that goes leaves its day changed, also where nothing comes in its place: values of an older definition.
create or replace function features.mark_gone_days() returns trigger
language plpgsql
as $$
begin
  insert into ops.dirty_days as d (feature_id, day)
  select distinct feature_id, (ts at time zone 'UTC')::date from gone
  on conflict (feature_id, day) do update set marked_xid = excluded.marked_xid;
  return null;
end
$$;
comment on function features.mark_gone_days() is 'Trigger: the days of deleted points are dirty.';
create or replace trigger mark_gone_days after delete on features.features_values
referencing old table as gone for each statement execute function features.mark_gone_days();
