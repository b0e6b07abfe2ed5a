-- What the data-quality checks found, run by run.

create table if not exists quality.results (
  result_id bigint generated always as identity primary key,
  run_id text not null,
  checked_at timestamptz not null,
  suite text not null,
  feature_id text,
  rule text not null,
  severity text not null check (severity in ('block', 'warn')),
  success boolean not null,
  rows_checked bigint,
  rows_failed bigint,
  observed text not null,
  expected text not null,
  reason text not null
);
create index if not exists results_feature on quality.results (feature_id, rule, checked_at desc);
create index if not exists results_run on quality.results (run_id);
comment on table quality.results is 'One row per rule, feature and run: the history of verdicts. Append-only.';
comment on column quality.results.result_id is 'Order of results.';
comment on column quality.results.run_id is 'The Airflow run, or the command, that checked.';
comment on column quality.results.checked_at is 'When it was checked, UTC, by the store''s clock.';
comment on column quality.results.suite is 'candidates, raw_<slug>_<stream> or freshness.';
comment on column quality.results.feature_id is 'The feature the rule is about; null where it is about all.';
comment on column quality.results.rule is 'Name of the rule, for example expected_range or freshness.';
comment on column quality.results.severity is 'block (keeps rows, or the whole table, from being published) or warn (tells).';
comment on column quality.results.success is 'Whether the rule held.';
comment on column quality.results.rows_checked is 'How many rows it was about; null where it is not about rows.';
comment on column quality.results.rows_failed is 'How many of them broke it; null where it is not about rows.';
comment on column quality.results.observed is 'What was found, in words.';
comment on column quality.results.expected is 'What a right value looks like, in words.';
comment on column quality.results.reason is 'Why the rule, and its threshold, is there.';
