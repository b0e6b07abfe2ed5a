-- Where two sources give one quantity: what each said, and whether they agree.

create table if not exists quality.reconciliation (
  reconciliation_id bigint generated always as identity primary key,
  run_id text not null,
  checked_at timestamptz not null,
  quantity text not null,
  ts timestamptz not null,
  left_source text not null,
  left_stream text not null,
  left_series text not null,
  left_value numeric not null,
  right_source text not null,
  right_stream text not null,
  right_series text not null,
  right_value numeric not null,
  difference numeric,
  tolerance numeric not null,
  agrees boolean not null,
  reason text not null
);
create index if not exists reconciliation_sides
on quality.reconciliation (quantity, left_source, right_source, right_series, ts, reconciliation_id desc);
comment on table quality.reconciliation is
'What two sources said of one quantity at one time: a row when both had it, and again when either said something else. Append-only.';
comment on column quality.reconciliation.reconciliation_id is 'Order of the comparisons; of one time the last one counts.';
comment on column quality.reconciliation.run_id is 'The Airflow run, or the command, that compared.';
comment on column quality.reconciliation.checked_at is 'When it was compared, UTC, by the store''s clock.';
comment on column quality.reconciliation.quantity is 'What both are about, in words.';
comment on column quality.reconciliation.ts is 'The time both are about, UTC: the start of a day or of a minute.';
comment on column quality.reconciliation.left_source is 'Slug of the source that the other is held against.';
comment on column quality.reconciliation.left_stream is 'Its stream.';
comment on column quality.reconciliation.left_series is 'Its series.';
comment on column quality.reconciliation.left_value is 'Its number, as newest in raw; a mean where the quantity is one.';
comment on column quality.reconciliation.right_source is 'Slug of the other source.';
comment on column quality.reconciliation.right_stream is 'Its stream.';
comment on column quality.reconciliation.right_series is 'Its series; of a venue''s number series/venue.';
comment on column quality.reconciliation.right_value is 'Its number, as newest in raw.';
comment on column quality.reconciliation.difference is
'right_value over left_value, less 1; null where left_value is 0.';
comment on column quality.reconciliation.tolerance is 'How far apart they may be, as a share of left_value.';
comment on column quality.reconciliation.agrees is 'Whether they are no further apart than that.';
comment on column quality.reconciliation.reason is 'Why the tolerance is what it is.';
