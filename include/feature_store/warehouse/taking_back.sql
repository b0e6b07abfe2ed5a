-- What an earlier reading of these answers said, and this one does not, is taken back: a reading without values.
insert into {table} ({keys}, {values}, fetch_id, fetched_at, available_at, available_basis, is_provisional, reading)
select {keys}, {nothing}, fetch_id, fetched_at, available_at, available_basis, is_provisional, reading + 1
from (
  select distinct on ({keys}, fetch_id) *
  from {table}
  where series = %(series)s and fetch_id = any(%(fetch_ids)s)
  order by {keys}, fetch_id, reading desc
) as held
where num_nonnulls({optional}) > 0
  and not exists (select from incoming as i where i.fetch_id = held.fetch_id and {same_key})
