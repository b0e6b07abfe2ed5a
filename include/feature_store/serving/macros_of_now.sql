-- Of the store alone, not of its snapshots: what is current changes.

create macro features.latest_as_of(known_at, stored_at := 'infinity') as table
select known.*
from features.as_of(known_at, stored_at) as known
join registry.features_catalog as definition
on definition.id = known.feature_id and definition.version = known.version and definition.is_current
where known.value is not null and known.ts <= least(known_at::timestamptz, stored_at::timestamptz)
qualify row_number() over (partition by known.feature_id order by known.ts desc) = 1;
