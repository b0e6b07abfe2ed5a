-- One row: the open interest of a perpetual as one fetch read it.
select
  series,
  ts,
  open_interest,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'binance_open_interest') }}
