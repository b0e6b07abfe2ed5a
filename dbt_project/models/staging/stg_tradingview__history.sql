-- One row: a daily bar as one fetch read it, open ones too.
select
  series,
  ts,
  open,
  high,
  low,
  close,
  volume,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'tradingview_history') }}
