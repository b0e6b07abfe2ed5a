-- One row: what is open at the venues, as they were asked at one time.
select
  series,
  ts,
  open_interest_usd,
  venues,
  answered,
  asked,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'cex_open_interest') }}
