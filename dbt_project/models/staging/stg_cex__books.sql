-- One row: what the venues' books hold around their mids, as they were asked at one time.
select
  series,
  ts,
  depth_2pct_usd,
  bid_depth_2pct_usd,
  ask_depth_2pct_usd,
  venues,
  answered,
  asked,
  is_truncated,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'cex_books') }}
