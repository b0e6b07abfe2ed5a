-- One row: what one fetch read of a book around its mid.
select
  series,
  ts,
  last_update_id,
  best_bid,
  best_ask,
  bid_depth_2pct,
  ask_depth_2pct,
  bid_reach,
  ask_reach,
  is_truncated,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'binance_depth') }}
