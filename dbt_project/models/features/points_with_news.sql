-- One row: a point of a feature that raw rows, or the catalog, have said something new about since the last run.
{{ config(materialized='table', post_hook="analyze {{ this }}") }}

select distinct
  feature_id,
  version,
  series,
  ts
from {{ ref('normalized_points') }}
where {{ is_new('xid') }}
