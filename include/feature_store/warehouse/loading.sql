-- Decide, once and for good, when each incoming row was available, and add those that say something new.
-- keys, values and order are the stream's columns, readings one of the two files of that name; see loading.py.
with answers as (
  select fetch_id, fetched_at from raw.fetches where fetch_id = any(%(fetch_ids)s)
),
held as (
  select distinct on ({keys}, fetch_id)
         {keys}, {values}, fetch_id, fetched_at, is_provisional, reading, available_at, available_basis,
         false as is_incoming, null::timestamptz as released_at, null::timestamptz as settled_until,
         null::timestamptz as stated_at, null::text as stated_basis
  from {table}
  where series = any(%(series)s) and ts between %(first)s and %(last)s
  order by {keys}, fetch_id, reading desc
),
arrived as (
  select {keys}, {values}, fetch_id, answers.fetched_at,
         stated_at is null and answers.fetched_at < released_at as is_provisional,
         0 as reading, null::timestamptz as available_at, null::text as available_basis,
         true as is_incoming, released_at, settled_until, stated_at, stated_basis
  from incoming join answers using (fetch_id)
),
readings as ({readings}),
beside as (
  select *,
         own_reading is null and (
           row_number() over neighbours = 1
           or row({values}) is distinct from lag(row({values})) over neighbours
           or is_provisional is distinct from lag(is_provisional) over neighbours
         ) as says_something_new,
         count(*) filter (where not is_provisional) over neighbours > (not is_provisional)::int as was_final_before
  from readings
  where not is_replaced
  window neighbours as (partition by series, ts order by {order})
),
added as (
  insert into {table} ({keys}, {values}, fetch_id, fetched_at, available_at, available_basis, is_provisional, reading)
  select {keys}, {values}, fetch_id, fetched_at,
         case when own_reading is not null then own_available_at
              when stated_at is not null then least(stated_at, fetched_at)
              when is_provisional or was_final_before then fetched_at
              else released_at end,
         case when own_reading is not null then own_available_basis
              when stated_at is not null then stated_basis
              when is_provisional or was_final_before then 'ingested'
              when settled_until is null or fetched_at <= settled_until then 'schedule'
              else 'backfilled' end,
         coalesce(own_is_provisional, is_provisional), coalesce(own_reading + 1, 0)
  from beside
  where is_incoming and (says_something_new or own_reading is not null and corrects)
)
select fetch_id,
       count(*) filter (where says_something_new or own_reading is not null and corrects),
       count(*) filter (where says_something_new or own_reading is not null)
from beside
where is_incoming
group by fetch_id
