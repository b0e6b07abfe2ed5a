-- These answers were read before: this reading replaces that one, and corrects it where it differs.
select *,
       lag(reading) over reading_before as own_reading,
       lag(is_provisional) over reading_before as own_is_provisional,
       lag(available_at) over reading_before as own_available_at,
       lag(available_basis) over reading_before as own_available_basis,
       row({values}) is distinct from lag(row({values})) over reading_before as corrects,
       lead(is_incoming) over reading_before is not null as is_replaced
from (select * from held union all select * from arrived) as rows
window reading_before as (partition by {keys}, fetch_id order by is_incoming)
