-- The daily panel's cells: what each feature's newest point was at the end of each day.

create table if not exists features.daily_cells (
  day date not null,
  feature_id text not null,
  version int not null,
  ts timestamptz,
  value double precision,
  valid_at timestamptz,
  age interval,
  is_stale boolean,
  available_at timestamptz,
  available_basis text,
  ingested_at timestamptz not null,
  primary key (day, feature_id, version, ingested_at)
);
comment on table features.daily_cells is
'Every version of every cell of features.daily_panel, append-only. A cell is a feature''s newest point as of the end of the day, that is state (day + 1 00:01 UTC, infinity); a late load that changes it makes a new row.';
comment on column features.daily_cells.day is 'The UTC day at whose end the cell was looked at.';
comment on column features.daily_cells.feature_id is 'The feature.';
comment on column features.daily_cells.version is 'Version of its definition.';
comment on column features.daily_cells.ts is 'The point, UTC; null when it turned out that nothing was known.';
comment on column features.daily_cells.value is 'Its value in the feature''s unit.';
comment on column features.daily_cells.valid_at is 'When the period it describes was over, UTC; never after the day.';
comment on column features.daily_cells.age is 'Day + 1 00:01 UTC minus valid_at minus the time the feature''s calendar was closed in between.';
comment on column features.daily_cells.is_stale is 'Whether the age exceeds the feature''s ttl_ms.';
comment on column features.daily_cells.available_at is 'The earliest instant at which the source could have served it, UTC.';
comment on column features.daily_cells.available_basis is 'How available_at is known.';
comment on column features.daily_cells.ingested_at is 'When this store made the cell, UTC, by the store''s clock.';
