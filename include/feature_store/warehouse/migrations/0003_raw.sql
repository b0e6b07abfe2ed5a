-- What the sources answered. Landing commits payload and fetch before anything reads them.

create table if not exists raw.payloads (
  sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
  content bytea,
  size_bytes bigint not null check (size_bytes >= 0),
  uri text,
  stored_at timestamptz not null default ops.now()
);
comment on table raw.payloads is 'The exact bytes of answers, stored once by content.';
comment on column raw.payloads.sha256 is 'SHA-256 of the answer as received, lower-case hex.';
comment on column raw.payloads.content is 'The answer, zstd-compressed; null once moved to S3.';
comment on column raw.payloads.size_bytes is 'Size of the answer before compression.';
comment on column raw.payloads.uri is 'Where the bytes lie in S3 once moved.';
comment on column raw.payloads.stored_at is 'When these bytes were first stored.';
alter table raw.payloads alter column content set storage external;

create table if not exists raw.fetches (
  fetch_id bigint generated always as identity primary key,
  source text not null,
  stream text not null,
  endpoint text not null,
  url text not null,
  params jsonb not null default '{}',
  context jsonb not null default '{}',
  run_id text,
  status int,
  content_type text,
  sha256 text references raw.payloads,
  fetched_at timestamptz not null,
  elapsed_ms int not null default 0,
  outcome text not null default 'landed'
  check (outcome in ('landed', 'loaded', 'rejected', 'failed')),
  reason text,
  rows_fetched bigint not null default 0,
  rows_loaded bigint not null default 0,
  rows_duplicate bigint not null default 0,
  rows_rejected bigint not null default 0,
  check (outcome = 'landed' or rows_fetched = rows_loaded + rows_duplicate + rows_rejected)
);
comment on table raw.fetches is 'One row per request: its times, status, what became of its rows.';
comment on column raw.fetches.fetch_id is 'Order of fetches.';
comment on column raw.fetches.source is 'Slug of the source.';
comment on column raw.fetches.stream is 'Stream of the source.';
comment on column raw.fetches.endpoint is 'Path of the request below the source''s base URL.';
comment on column raw.fetches.url is 'The request''s URL with secrets redacted.';
comment on column raw.fetches.params is 'Query parameters without secrets.';
comment on column raw.fetches.context is 'What the connector needs, besides the bytes, to parse the answer again.';
comment on column raw.fetches.run_id is 'The Airflow run, or the command, that asked.';
comment on column raw.fetches.status is 'HTTP status; null when no answer arrived.';
comment on column raw.fetches.content_type is 'Content-Type header of the answer.';
comment on column raw.fetches.sha256 is 'The answer''s bytes in raw.payloads; null when no answer arrived.';
comment on column raw.fetches.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.fetches.elapsed_ms is 'Real time the request took.';
comment on column raw.fetches.outcome is
'landed (not parsed yet), loaded, rejected (the answer could not be read), failed (no usable answer).';
comment on column raw.fetches.reason is 'Why it was rejected or failed.';
comment on column raw.fetches.rows_fetched is 'Rows found in the answer; an unreadable answer counts as one.';
comment on column raw.fetches.rows_loaded is 'Rows added to the stream''s raw table.';
comment on column raw.fetches.rows_duplicate is 'Rows that said nothing new.';
comment on column raw.fetches.rows_rejected is 'Rows in raw.rejects.';
create index if not exists fetches_stream on raw.fetches (source, stream, fetched_at);
create index if not exists fetches_landed on raw.fetches (fetch_id) where outcome = 'landed';

create table if not exists raw.rejects (
  reject_id bigint generated always as identity primary key,
  source text not null,
  stream text,
  fetch_id bigint references raw.fetches,
  feature_id text,
  ts timestamptz,
  rule text not null,
  reason text not null,
  content jsonb not null default '{}',
  rejected_at timestamptz not null default ops.now(),
  resolved_at timestamptz
);
comment on table raw.rejects is 'What was kept out, why, and where it came from. Nothing in scope is dropped silently.';
comment on column raw.rejects.reject_id is 'Order of rejection.';
comment on column raw.rejects.source is 'Slug of the source.';
comment on column raw.rejects.stream is 'Stream of the source, when the row came from one.';
comment on column raw.rejects.fetch_id is 'The fetch that brought it.';
comment on column raw.rejects.feature_id is 'The feature a blocked candidate was meant for.';
comment on column raw.rejects.ts is 'The instant a blocked candidate describes, UTC.';
comment on column raw.rejects.rule is 'The rule that kept it out, for example missing_field or expected_range.';
comment on column raw.rejects.reason is 'What was observed and what was expected, in words.';
comment on column raw.rejects.content is 'The rejected row as it was.';
comment on column raw.rejects.rejected_at is 'When it was rejected, by the store''s clock.';
comment on column raw.rejects.resolved_at is 'When a later run accepted it; null while it is open.';
create index if not exists rejects_open on raw.rejects (source, rule) where resolved_at is null;
create unique index if not exists rejects_blocked_once
on raw.rejects (feature_id, ts, rule, md5(content::text)) where feature_id is not null and resolved_at is null;

create table if not exists raw.fred_observations (
  series text not null,
  ts timestamptz not null,
  vintage_date date,
  value numeric,
  unit text not null,
  fetch_id bigint not null references raw.fetches,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  xid xid8 not null default pg_current_xact_id(),
  unique nulls not distinct (series, ts, vintage_date, fetch_id),
  check (value <> 'NaN')
);
comment on table raw.fred_observations is
'FRED observations, one row per observation and vintage. https://fred.stlouisfed.org/docs/api/fred/series_observations.html';
comment on column raw.fred_observations.series is 'FRED series id.';
comment on column raw.fred_observations.ts is 'The observation date at 00:00 UTC.';
comment on column raw.fred_observations.vintage_date is
'realtime_start: the US Central date on which this value appeared in FRED; null for a series that FRED keeps no vintages of.';
comment on column raw.fred_observations.value is 'The value in the unit FRED stated on that date; null is FRED''s ".", not known.';
comment on column raw.fred_observations.unit is 'The unit FRED stated for the series on the vintage date.';
comment on column raw.fred_observations.fetch_id is 'The fetch that brought it.';
comment on column raw.fred_observations.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.fred_observations.available_at is 'The earliest instant at which FRED could have served this value.';
comment on column raw.fred_observations.available_basis is 'How available_at is known.';
comment on column raw.fred_observations.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.fred_observations.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists fred_observations_xid on raw.fred_observations (xid);


create table if not exists ops.stream_progress (
  source text not null,
  stream text not null,
  series text not null,
  complete_until timestamptz not null,
  primary key (source, stream, series)
);
comment on table ops.stream_progress is 'How far the live tail of each series has come.';
comment on column ops.stream_progress.source is 'Slug of the source.';
comment on column ops.stream_progress.stream is 'Stream of the source.';
comment on column ops.stream_progress.series is 'Series of the stream.';
comment on column ops.stream_progress.complete_until is 'Everything available by then, by the store''s clock, is in the raw table.';
