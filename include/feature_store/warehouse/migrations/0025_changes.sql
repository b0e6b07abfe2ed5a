-- How candidates compare with the points before them, what was found odd about points, and what confidence follows.

create unlogged table if not exists quality.candidate_changes (
  feature_id text not null,
  version int not null,
  ts timestamptz not null,
  available_at timestamptz not null,
  value double precision not null,
  value_before double precision,
  low double precision,
  high double precision,
  distance double precision,
  score double precision,
  unit_power int,
  repeats int
);
comment on table quality.candidate_changes is
'How each candidate of the running transform compares with the points before it: what the rules about change are judged by. Made anew by every judgement.';
comment on column quality.candidate_changes.feature_id is 'Name of the feature.';
comment on column quality.candidate_changes.version is 'Version of its definition.';
comment on column quality.candidate_changes.ts is 'The instant of the point, UTC.';
comment on column quality.candidate_changes.available_at is 'The earliest instant at which the source could have served the value, UTC.';
comment on column quality.candidate_changes.value is 'The value in the feature''s unit.';
comment on column quality.candidate_changes.value_before is 'The last believable value before it.';
comment on column quality.candidate_changes.low is 'Lower edge of the band in which a usual value lies; null where too little is known.';
comment on column quality.candidate_changes.high is 'Upper edge of that band.';
comment on column quality.candidate_changes.distance is
'How far the value lies from the nearer of the value before and the median of five before, its season taken out: a factor from 1 on or an amount, as quality.jump of the catalog; null where too little is known.';
comment on column quality.candidate_changes.score is
'That distance over what is usual: ten robust standard deviations, or twice the 99th percentile, of the 250 changes before.';
comment on column quality.candidate_changes.unit_power is
'Power of ten by which a value that jumps differs, where it is that of another unit (hundreds, thousands, millions); else null.';
comment on column quality.candidate_changes.repeats is 'How many points in a row, this one included, have the value.';

create table if not exists quality.findings (
  finding_id bigint generated always as identity primary key,
  run_id text not null,
  found_at timestamptz not null,
  feature_id text not null,
  version int not null,
  ts timestamptz not null,
  available_at timestamptz not null,
  rule text not null,
  severity text not null check (severity in ('block', 'warn')),
  value double precision not null,
  value_before double precision,
  low double precision,
  high double precision,
  score double precision,
  reason text not null,
  unique (feature_id, version, ts, available_at, rule, value)
);
comment on table quality.findings is
'Points that were found odd beside those before them, each once: outliers, jumps, wrong units, repetitions. Append-only.';
comment on column quality.findings.finding_id is 'Order of the findings.';
comment on column quality.findings.run_id is 'The run that found it first.';
comment on column quality.findings.found_at is 'When, UTC, by the store''s clock.';
comment on column quality.findings.feature_id is 'Name of the feature.';
comment on column quality.findings.version is 'Version of its definition.';
comment on column quality.findings.ts is 'The instant of the point, UTC.';
comment on column quality.findings.available_at is 'The earliest instant at which the source could have served the value, UTC.';
comment on column quality.findings.rule is 'outlier, jump, unit, flat_line or duplicate.';
comment on column quality.findings.severity is 'block: the point was kept out; warn: it was published with lowered confidence.';
comment on column quality.findings.value is 'The value in the feature''s unit.';
comment on column quality.findings.value_before is 'The last believable value before it.';
comment on column quality.findings.low is 'Lower edge of the band in which a usual value lies.';
comment on column quality.findings.high is 'Upper edge of that band.';
comment on column quality.findings.score is 'Distance over what is usual; above 1 is an outlier.';
comment on column quality.findings.reason is 'What was observed and what was expected, in words.';

create or replace function quality.neighbours(of_feature text, at timestamptz, n int default 2)
returns jsonb
language sql stable parallel safe
as $$
  select jsonb_agg(jsonb_build_object('ts', ts, 'value', value) order by ts)
  from (
    (select ts, value from features.features_values where feature_id = of_feature and ts < at order by ts desc limit n)
    union all
    (select ts, value from features.features_values where feature_id = of_feature and ts > at order by ts asc limit n)
  ) as near
$$;
comment on function quality.neighbours(text, timestamptz, int) is
'The points of a feature just before and just after an instant, as they are now: a list of {ts, value}.';

create or replace function quality.factors_at_ingest(
  reliability double precision, share numeric, is_provisional boolean, available_basis text
)
returns jsonb
language sql immutable parallel safe
as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'source', reliability,
    'venues', case when share < 1 then round(share, 6) end,
    'provisional', case when is_provisional then 0.8 end,
    'backfilled', case when available_basis = 'backfilled' then 0.95 end
  ))
$$;
comment on function quality.factors_at_ingest(double precision, numeric, boolean, text) is
'What lowers the confidence in a value that a source told: how often the source tells the truth, the share of the venues that answered, a value that the source will still change, one that may hold later rewrites. Each 0 to 1.';

create or replace function quality.factor_of(rule text, score double precision default null)
returns double precision
language sql immutable parallel safe
as $$
  select case rule
    when 'outlier' then greatest(0.2, least(1, 1 / nullif(score, 0)))
    when 'flat_line' then 0.7
    when 'duplicate' then 0.8
    when 'agreement' then 0.5
    else 0
  end
$$;
comment on function quality.factor_of(text, double precision) is
'What a broken rule leaves of the confidence: of an outlier the less the further out it lies, down to 0.2; nothing of a blocking one.';

create or replace function quality.confidence_of(factors jsonb)
returns double precision
language plpgsql immutable parallel safe
as $$
declare
  factor numeric;
  -- Exact, so that the same factors give the same bits in any order.
  product numeric := 1;
begin
  for factor in select value::numeric from jsonb_each_text(factors) loop
    product := product * factor;
  end loop;
  return product::double precision;
end
$$;
comment on function quality.confidence_of(jsonb) is
'Confidence, 0 to 1: the product of its factors. It falls when any factor does, and is never more than the least of them.';

comment on column quality.results.suite is
'candidates, candidate_changes and raw_<slug>_<stream> of Great Expectations; freshness, coverage, checks and reconciliation of the hourly checks.';
comment on column quality.results.severity is
'block (keeps rows, or the whole table, from being published; of an hourly check: fails it) or warn (lowers confidence; of an hourly check: marks it).';
