-- One row: a point of a feature that raw rows, or the catalog, have said something new about since the last run.
{{ config(materialized='table', post_hook="analyze {{ this }}") }}

-- New rows and new mappings are asked for apart: each has an index that way.
with news as (
  {% for points in points_models_of_run() %}
    select
      feature_id,
      version,
      source_slug,
      stream,
      series,
      ts
    from {{ ref(points) }}
    where {{ is_new('xid') }}
    union all
    select
      feature_id,
      version,
      source_slug,
      stream,
      series,
      ts
    from {{ ref(points) }}
    where {{ is_remapped('mapped_xid', 'xid') }}
    {% if points == published_model() %}
      -- What a connector tells of the same points has to be looked at beside it.
      union all
      select
        meaning.feature_id,
        meaning.version,
        meaning.source_slug,
        meaning.stream,
        meaning.series,
        told.ts
      from {{ ref(points) }} as told
      inner join {{ source('registry', 'feature_series') }} as meaning using (feature_id, version)
      where meaning.is_current and {{ is_new('told.xid') }}
    {% endif %}
    {% if not loop.last %}union all{% endif %}
  {% endfor %}
)

select distinct
  feature_id,
  version,
  source_slug,
  stream,
  series,
  ts
from news
