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
