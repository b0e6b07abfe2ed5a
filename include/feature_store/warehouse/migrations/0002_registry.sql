-- The catalog as the database knows it. Written by `feature_store.catalog.sync` only; git is where it is changed.

create table if not exists registry.data_sources (
  id text not null,
  content_sha256 text not null check (content_sha256 ~ '^[0-9a-f]{64}$'),
  slug text not null,
  name text not null,
  class text not null check (class in ('onchain', 'cex', 'macro', 'derived')),
  spec jsonb not null,
  is_current boolean not null,
  synced_at timestamptz not null,
  primary key (id, content_sha256)
);
create unique index if not exists data_sources_current on registry.data_sources (id) where is_current;
comment on table registry.data_sources is 'Every content each source''s entry in the catalog ever had.';
comment on column registry.data_sources.id is 'The source''s id in the catalog, for example binance-api.';
comment on column registry.data_sources.content_sha256 is 'Hash of spec as canonical JSON, lower-case hex.';
comment on column registry.data_sources.slug is 'Short name in tables, modules and DAGs, for example binance.';
comment on column registry.data_sources.name is 'Name for people.';
comment on column registry.data_sources.class is 'onchain, cex, macro or derived.';
comment on column registry.data_sources.spec is 'The whole entry under its wire names.';
comment on column registry.data_sources.is_current is 'Whether the catalog holds this content today; at most one row of an id.';
comment on column registry.data_sources.synced_at is 'When this content last became current, UTC, by the store''s clock.';

create table if not exists registry.features_catalog (
  id text not null,
  version int not null check (version >= 1),
  content_sha256 text not null check (content_sha256 ~ '^[0-9a-f]{64}$'),
  entity text not null check (entity in ('asset', 'pair', 'market', 'macro')),
  description text not null,
  unit text not null,
  frequency text not null check (frequency in ('tick', '1m', '5m', '1h', '1d')),
  grain text not null check (grain in ('daily', 'intraday')),
  ttl_ms bigint not null check (ttl_ms > 0),
  tags text[] not null,
  source_id text not null,
  source_class text not null check (source_class in ('onchain', 'cex', 'macro', 'derived')),
  calendar text not null,
  label text not null check (label in ('instant', 'start', 'end')),
  period text,
  spec jsonb not null,
  is_current boolean not null,
  synced_at timestamptz not null,
  primary key (id, version, content_sha256)
);
create unique index if not exists features_catalog_current on registry.features_catalog (id) where is_current;
comment on table registry.features_catalog is
'Every content each version of each feature''s entry in the catalog ever had, implied seasonally adjusted twins included.';
comment on column registry.features_catalog.id is 'The feature''s id, for example macro/us/walcl_total_usd.';
comment on column registry.features_catalog.version is
'Version of the definition: unit, label, period, release, scale, stream, series, field, inputs, max_age.';
comment on column registry.features_catalog.content_sha256 is 'Hash of spec as canonical JSON, lower-case hex.';
comment on column registry.features_catalog.entity is 'What the feature describes: asset, pair, market or macro.';
comment on column registry.features_catalog.description is 'What the number means, for people.';
comment on column registry.features_catalog.unit is 'Unit of the value, for example USD, ratio, index.';
comment on column registry.features_catalog.frequency is 'How often a point is expected: tick, 1m, 5m, 1h, 1d.';
comment on column registry.features_catalog.grain is 'Partition of the feature tables: daily for frequency 1d, else intraday.';
comment on column registry.features_catalog.ttl_ms is 'Age in milliseconds past which the latest value is stale.';
comment on column registry.features_catalog.tags is 'Words to find features by.';
comment on column registry.features_catalog.source_id is 'Id of the source; feature-store for what this store computes itself.';
comment on column registry.features_catalog.source_class is 'Class of the source: onchain, cex, macro or derived.';
comment on column registry.features_catalog.calendar is 'Calendar in registry.calendar_sessions that coverage counts against.';
comment on column registry.features_catalog.label is 'Whether ts is an instant, or the start or the end of a period.';
comment on column registry.features_catalog.period is 'ISO 8601 duration of the described period, or session; null for instants.';
comment on column registry.features_catalog.spec is 'The whole entry under its wire names.';
comment on column registry.features_catalog.is_current is 'Whether the catalog holds this content today; at most one row of an id.';
comment on column registry.features_catalog.synced_at is 'When this content last became current, UTC, by the store''s clock.';

create table if not exists registry.feature_series (
  feature_id text not null,
  version int not null,
  source_slug text not null,
  stream text not null,
  series text not null,
  field text not null,
  unit_stated text,
  factor numeric not null check (factor > 0),
  label text not null check (label in ('instant', 'start', 'end')),
  period interval,
  is_session boolean not null,
  calendar text not null,
  frequency text not null,
  grain text not null check (grain in ('daily', 'intraday')),
  unit text not null,
  provisional text not null check (provisional in ('none', 'estimate', 'partial')),
  is_current boolean not null,
  unique nulls not distinct (feature_id, version, unit_stated)
);
create index if not exists feature_series_raw on registry.feature_series (source_slug, stream, series);
comment on table registry.feature_series is
'Which raw series feeds which feature, one row for each unit the source may state: what dbt joins raw rows with.';
comment on column registry.feature_series.feature_id is 'The feature.';
comment on column registry.feature_series.version is 'Version of the feature''s definition.';
comment on column registry.feature_series.source_slug is 'Slug of the source.';
comment on column registry.feature_series.stream is 'Stream of the source: the raw table is raw.<source_slug>_<stream>.';
comment on column registry.feature_series.series is 'Series within the stream.';
comment on column registry.feature_series.field is 'Column of the raw table that holds the number.';
comment on column registry.feature_series.unit_stated is
'The unit as the source states it, after registry.normal_unit(); null where any unit is taken.';
comment on column registry.feature_series.factor is 'Feature value = raw number × factor, in numeric.';
comment on column registry.feature_series.label is 'Whether ts is an instant, or the start or the end of a period.';
comment on column registry.feature_series.period is
'Length of the described period; null for instants and sessions. Add it with the session time zone at UTC.';
comment on column registry.feature_series.is_session is 'Whether the period is the calendar''s session on the date of ts.';
comment on column registry.feature_series.calendar is 'Calendar in registry.calendar_sessions.';
comment on column registry.feature_series.frequency is 'How often a point is expected: tick, 1m, 5m, 1h, 1d.';
comment on column registry.feature_series.grain is 'Partition of the feature tables: daily or intraday.';
comment on column registry.feature_series.unit is 'Unit of the feature, after scaling.';
comment on column registry.feature_series.provisional is
'What becomes of provisional raw values: estimate (published with lowered confidence), partial (they stay in raw), none.';
comment on column registry.feature_series.is_current is 'Whether the catalog maps the series this way today.';

create table if not exists registry.calendar_sessions (
  calendar text not null,
  date date not null,
  close_at timestamptz not null,
  primary key (calendar, date)
);
comment on table registry.calendar_sessions is
'Open dates of every calendar from 1990 to its horizon. A date past the greatest one here is not closed but unknown.';
comment on column registry.calendar_sessions.calendar is 'Name of the calendar, for example nyse.';
comment on column registry.calendar_sessions.date is 'An open date, in the calendar''s own zone.';
comment on column registry.calendar_sessions.close_at is 'When that date closes, UTC; half days included.';

create table if not exists registry.calendar_origin (
  id boolean primary key default true check (id),
  fingerprint text not null
);
comment on table registry.calendar_origin is 'What registry.calendar_sessions was made from. One row.';
comment on column registry.calendar_origin.id is 'Always true: there is one origin.';
comment on column registry.calendar_origin.fingerprint is
'Hash of the calendars'' code and of the versions of the libraries they come from.';

create or replace function registry.normal_unit(stated text) returns text
language sql immutable strict parallel safe
as $$
  select lower(trim(regexp_replace(replace(stated, '.', ''), '\s+', ' ', 'g')))
$$;
comment on function registry.normal_unit(text) is
'A stated unit without case, dots and extra spaces; the same as feature_store.catalog.normal_unit.';
