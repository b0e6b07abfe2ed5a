-- One row: a version that raw rows make. All versions of every point that has news, so that the writer can compare.
with looked_at as (
  select distinct
    feature_id,
    version,
    ts
  from {{ ref('points_with_news') }}
),

readings as (
  {% for points in points_models_of_run() %}
    select point.*
    from {{ ref(points) }} as point
    {% if points == published_model() %}
      -- Whoever has news of a point: what was published of it belongs to its history.
      inner join looked_at using (feature_id, version, ts)
    {% else %}
      inner join {{ ref('points_with_news') }} using (feature_id, version, source_slug, stream, series, ts)
    {% endif %}
    where {{ is_readable('point.xid') }}
    {% if not loop.last %}union all{% endif %}
  {% endfor %}
),

told as (
  select
    *,
    bool_or(value is not null and source_slug <> 'publish') over history as was_ever_known
  from readings
  window history as (partition by feature_id, version, ts order by available_at, fetch_id, reading)
),

-- "Not known" over nothing known is no version; over a known value it withdraws it, if a source told that value: no
-- source takes back what somebody else published.
known as (
  select *
  from told
  where value is not null or was_ever_known
),

-- Of what was read for one instant of availability the newest fetch counts, of a fetch its newest reading.
histories as (
  select
    *,
    coalesce(lead(available_at) over history > available_at, true) as is_newest_reading
  from known
  window history as (partition by feature_id, version, ts order by available_at, fetch_id, reading)
),

weighed as (
  select
    histories.*,
    quality.factors_at_ingest(
      source.reliability, histories.share, histories.is_provisional, histories.available_basis
    ) as factors
  from histories
  left join {{ source('registry', 'current_sources') }} as source on histories.source_slug = source.slug
  where histories.is_newest_reading and (source.slug is not null or histories.source_slug = 'publish')
)

select
  feature_id,
  version,
  grain,
  ts,
  value::double precision as value,
  available_at,
  available_basis,
  is_provisional,
  -- What a publisher says of its own value stands.
  coalesce(confidence, quality.confidence_of(factors)) as confidence,
  meta
  || case
    when confidence is null and factors - 'source' <> '{}' then jsonb_build_object('confidence', factors)
    else '{}'
  end as meta,
  jsonb_build_array(jsonb_build_object('fetch', fetch_id)) || coalesce(evidence, '[]') as evidence
from weighed
