-- Decide, once and for good, when each incoming row was available, and add those that say something new.
-- keys, values, order and differs are the stream's columns, filled in by landing.py.
with this_fetch as (
  select fetch_id, fetched_at from raw.fetches where fetch_id = %(fetch_id)s
),
held as (
  select {keys}, {values}, fetch_id, is_provisional, false as is_incoming,
         null::timestamptz as released_at, null::timestamptz as settled_until,
         null::timestamptz as stated_at, null::text as stated_basis, fetched_at
  from {table} as t
  where exists (select from incoming as i where i.series = t.series and i.ts = t.ts)
),
arrived as (
  select distinct {keys}, {values}, this_fetch.fetch_id,
         incoming.stated_at is null and this_fetch.fetched_at < incoming.released_at as is_provisional, true as is_incoming,
         released_at, settled_until, stated_at, stated_basis, this_fetch.fetched_at
  from incoming cross join this_fetch
),
beside as (
  select *,
         row_number() over neighbours = 1 or {differs}
           or is_provisional is distinct from lag(is_provisional) over neighbours as says_something_new,
         coalesce(bool_or(not is_provisional) over (neighbours rows between unbounded preceding and 1 preceding), false)
           as was_final_before
  from (select * from held union all select * from arrived) as rows
  window neighbours as (partition by series, ts order by {order})
)
insert into {table} ({keys}, {values}, fetch_id, fetched_at, available_at, available_basis, is_provisional)
select {keys}, {values}, fetch_id, fetched_at,
       case when stated_at is not null then least(stated_at, fetched_at)
            when is_provisional or was_final_before then fetched_at
            else released_at end,
       case when stated_at is not null then stated_basis
            when is_provisional or was_final_before then 'ingested'
            when fetched_at <= settled_until then 'schedule'
            else 'backfilled' end,
       is_provisional
from beside
where is_incoming and says_something_new
