-- One row: a day of a chain as one fetch read it.
select
  series,
  ts,
  tvl,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'defillama_historical_chain_tvl') }}
