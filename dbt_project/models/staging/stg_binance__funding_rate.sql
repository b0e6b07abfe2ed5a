-- One row: a settled funding rate of a perpetual as one fetch read it.
select
  series,
  ts,
  funding_time,
  funding_rate,
  mark_price,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'binance_funding_rate') }}
