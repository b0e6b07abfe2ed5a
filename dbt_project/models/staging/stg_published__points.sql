-- One row: a point as it was published.
select
  feature_id,
  version,
  grain,
  ts,
  value,
  confidence,
  meta,
  evidence,
  fetch_id,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'published_points') }}
