-- One row: the average price of a day as one fetch read it.
select
  series,
  ts,
  value,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'blockchain_market_price') }}
