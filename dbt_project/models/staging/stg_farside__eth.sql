-- One row: the flows of a trading day as one fetch read them.
select
  series,
  ts,
  value,
  funds,
  is_partial,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'farside_eth') }}
