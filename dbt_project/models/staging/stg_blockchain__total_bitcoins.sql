-- One row: the bitcoins mined up to a day as one fetch read them.
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
from {{ source('raw', 'blockchain_total_bitcoins') }}
