-- Which hosts are left alone for a while, for all processes that share the database.

create table if not exists ops.circuits (
  source text not null,
  host text not null,
  reason text not null,
  failures int not null check (failures >= 0),
  since timestamptz not null,
  until timestamptz not null,
  primary key (source, host)
);
comment on table ops.circuits is
'Hosts that gave trouble since their last good answer. Nobody asks a host before until; a good answer after it removes the row. Real time, never the store''s clock.';
comment on column ops.circuits.source is 'Slug of the source.';
comment on column ops.circuits.host is 'Host of the source''s or stream''s base_url in the catalog, also when the replay server answers.';
comment on column ops.circuits.reason is 'Why it is left alone, in the source''s own words where it has any; carries no secret.';
comment on column ops.circuits.failures is 'Failed requests since the last good answer; those that were under way while it was left alone count once.';
comment on column ops.circuits.since is 'When the trouble began, UTC.';
comment on column ops.circuits.until is 'When the host may be asked again, UTC; in the past: at any time.';
