-- One row: the stablecoins of a day as one fetch read them.
select
  series,
  ts,
  total_circulating_usd,
  circulating_usd,
  circulating,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'defillama_stablecoincharts') }}
