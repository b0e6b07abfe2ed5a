-- One row: gas prices as one fetch read them.
select
  series,
  ts,
  value,
  last_block,
  safe_gas_price,
  fast_gas_price,
  suggest_base_fee,
  gas_used_ratio,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'etherscan_gasoracle') }}
