-- One row: a version of a point, appended by the one writer; an older row is never changed.
{{ config(materialized='append_versions') }}

select candidate.*
from {{ ref('candidates') }} as candidate
where not exists (
    -- Published, and so held, since the candidates were made: of one instant of availability the newest fetch counts.
    select from {{ ref('stg_published__points') }} as told
    where
      told.feature_id = candidate.feature_id
      and told.version = candidate.version
      and told.ts = candidate.ts
      and told.available_at = candidate.available_at
      and told.fetch_id > (candidate.evidence -> 0 ->> 'fetch')::bigint
  )
