-- One row: the open interest of a perpetual at one of Binance's instants as one fetch read it.
select
  series,
  ts,
  sum_open_interest,
  sum_open_interest_value,
  cmc_circulating_supply,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'binance_open_interest_hist') }}
