-- One row: a version that may be appended. All versions of every point that has news, so that the writer can compare.
{{ config(materialized='table', post_hook="analyze {{ this }}") }}

with readings as (
  select
    point.*,
    row_number() over (
      partition by point.feature_id, point.version, point.ts, point.available_at
      order by point.fetch_id desc
    ) as nth_newest_reading
  from {{ ref('normalized_points') }} as point
  inner join {{ ref('points_with_news') }} using (feature_id, version, series, ts)
  where {{ is_readable('point.xid') }}
),

versions as (
  select
    *,
    bool_or(value is not null) over (
      partition by feature_id, version, ts
      order by available_at
      rows unbounded preceding
    ) as was_ever_known
  from readings
  where nth_newest_reading = 1
)

-- "Not known" over nothing known is no version; over a known value it withdraws it.
select
  versions.feature_id,
  versions.version,
  versions.grain,
  versions.ts,
  versions.value::double precision as value,
  versions.available_at,
  versions.available_basis,
  versions.is_provisional,
  (source.reliability * case when versions.is_provisional then 0.8 else 1 end)::double precision as confidence,
  '{}'::jsonb as meta,
  jsonb_build_array(jsonb_build_object('fetch', versions.fetch_id)) as evidence
from versions
inner join {{ source('registry', 'current_sources') }} as source on versions.source_slug = source.slug
where versions.was_ever_known
