-- One row: a category of protocols as one fetch read it.
select
  series,
  ts,
  tvl,
  protocols,
  unknown,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'defillama_protocols') }}
