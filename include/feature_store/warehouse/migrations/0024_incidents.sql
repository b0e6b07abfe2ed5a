-- Rules that do not hold, from the check that first found it to the one that found it mended, and who was told.

create table if not exists quality.incidents (
  incident_id bigint generated always as identity primary key,
  subject text not null,
  feature_id text,
  source text not null,
  rule text not null,
  severity text not null check (severity in ('block', 'warn')),
  observed text not null,
  expected text not null,
  message text not null generated always as (
    subject || ': ' || rule || ': observed ' || observed || '; expected ' || expected
  ) stored,
  docs text,
  run_id text not null,
  opened_at timestamptz not null,
  last_seen_at timestamptz not null,
  recovered_at timestamptz,
  alerted_at timestamptz,
  recovery_alerted_at timestamptz
);
create unique index if not exists incidents_open on quality.incidents (subject, rule) where recovered_at is null;
comment on table quality.incidents is
'One row per breach: a rule that did not hold of a subject, for as long as checks found it so. A rule that breaks again after it recovered is a new row.';
comment on column quality.incidents.incident_id is 'Order of opening.';
comment on column quality.incidents.subject is 'What the rule is about: a feature id, or a table such as raw.fred_observations.';
comment on column quality.incidents.feature_id is 'The feature the rule is about; null where it is about a table.';
comment on column quality.incidents.source is 'Slug of the source whose check opened it.';
comment on column quality.incidents.rule is 'Name of the rule, for example expected_range or freshness.';
comment on column quality.incidents.severity is 'block (keeps rows, or the whole table, from being published) or warn (tells).';
comment on column quality.incidents.observed is 'What the last check that found it broken observed, in words.';
comment on column quality.incidents.expected is 'What a right value looks like, in words.';
comment on column quality.incidents.message is 'Subject, rule, observed and expected in one line.';
comment on column quality.incidents.docs is 'Link to the page of Data Docs that shows it; null where there is none.';
comment on column quality.incidents.run_id is 'The Airflow run, or the command, that last found it broken: its results are in quality.results.';
comment on column quality.incidents.opened_at is 'When a check first found it broken, UTC, by the store''s clock.';
comment on column quality.incidents.last_seen_at is 'When a check last found it broken, UTC, by the store''s clock.';
comment on column quality.incidents.recovered_at is 'When a check found that the rule holds again, UTC, by the store''s clock; null while it is open.';
comment on column quality.incidents.alerted_at is
'When its alert was taken by the log and, where there is one, the webhook, UTC, by the store''s clock; null while that is due.';
comment on column quality.incidents.recovery_alerted_at is 'The same of the notice of its recovery.';
