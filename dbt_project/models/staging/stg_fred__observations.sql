-- One row: an observation of a FRED series as one vintage has it, in the unit FRED stated then.
select
  series,
  ts,
  vintage_date,
  value,
  unit as stated_unit,
  fetch_id,
  reading,
  fetched_at,
  available_at,
  available_basis,
  is_provisional,
  xid
from {{ source('raw', 'fred_observations') }}
