-- One row: a version that raw rows make. All versions of every point that has news, so that the writer can compare.
with readings as (
  {% for points in points_models_of_run() %}
    select point.*
    from {{ ref(points) }} as point
    inner join {{ ref('points_with_news') }} using (feature_id, version, source_slug, stream, series, ts)
    where {{ is_readable('point.xid') }}
    {% if not loop.last %}union all{% endif %}
  {% endfor %}
),

-- Of what was read for one instant of availability the newest fetch counts, of a fetch its newest reading.
histories as (
  select
    *,
    coalesce(lead(available_at) over history > available_at, true) as is_newest_reading,
    bool_or(value is not null) over history as was_ever_known
  from readings
  window history as (partition by feature_id, version, ts order by available_at, fetch_id, reading)
)

-- "Not known" over nothing known is no version; over a known value it withdraws it.
select
  histories.feature_id,
  histories.version,
  histories.grain,
  histories.ts,
  histories.value::double precision as value,
  histories.available_at,
  histories.available_basis,
  histories.is_provisional,
  (source.reliability * case when histories.is_provisional then 0.8 else 1 end * histories.share)::double precision
    as confidence,
  histories.meta,
  jsonb_build_array(jsonb_build_object('fetch', histories.fetch_id)) as evidence
from histories
inner join {{ source('registry', 'current_sources') }} as source on histories.source_slug = source.slug
where histories.is_newest_reading and histories.was_ever_known
