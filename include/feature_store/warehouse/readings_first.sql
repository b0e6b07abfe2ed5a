-- These answers are read for the first time.
select *,
       null::int as own_reading, null::boolean as own_is_provisional, null::timestamptz as own_available_at,
       null::text as own_available_basis, false as corrects, false as is_replaced
from (select * from held union all select * from arrived) as rows
