-- One row: a one-hour candle as one fetch read it; null numbers take back what that fetch was read to say.
select
  series,
  ts,
  open,
  high,
  low,
  close,
  volume,
  close_time,
  quote_volume,
  trades,
  taker_base_volume,
  taker_quote_volume,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'binance_klines_1h') }}
