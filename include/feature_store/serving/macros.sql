-- What the shell knows besides tables: the functions of Postgres of the same names, over hot and archive.

create schema if not exists ops;

-- The variable is set for each statement.
create macro ops.now() as getvariable('feature_store_now');

create macro features.as_of(known_at, stored_at := 'infinity') as table
select
  feature_id, version, ts, known.value, coalesce(assessed.confidence, known.confidence) as confidence, known.is_provisional,
  available_at, known.available_basis, ingested_at, known.meta, known.evidence
from (
  from features.features_versions
  where available_at <= known_at::timestamptz and ingested_at <= stored_at::timestamptz
  qualify row_number() over (partition by feature_id, version, ts order by available_at desc, ingested_at desc) = 1
) as known
left join (
  select feature_id, version, ts, available_at, ingested_at, arg_max(confidence, assessed_at) as confidence
  from quality.confidence
  where assessed_at <= least(known_at::timestamptz, stored_at::timestamptz)
  group by all
) as assessed using (feature_id, version, ts, available_at, ingested_at);

create macro features.as_stored(stored_at) as table
select * from features.as_of('infinity', stored_at);
