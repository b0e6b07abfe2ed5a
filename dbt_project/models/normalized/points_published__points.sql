-- One row: a version of a point that was published, of a definition that the catalog has today.
select
  told.feature_id,
  told.version,
  told.grain,
  told.ts,
  -- By way of its text, which keeps every bit: a cast from one to the other rounds to fifteen digits.
  told.value::text::numeric as value,
  told.meta,
  1::numeric as share,
  told.confidence,
  told.evidence,
  definition.unit,
  definition.label,
  case when definition.period <> 'session' then definition.period::interval end as period,
  coalesce(definition.period = 'session', false) as is_session,
  told.available_at,
  told.available_basis,
  told.is_provisional,
  told.fetch_id,
  0 as reading,
  'publish' as source_slug,
  'points' as stream,
  told.feature_id as series,
  told.xid,
  '0'::xid8 as mapped_xid
from {{ ref('stg_published__points') }} as told
inner join {{ source('registry', 'features_catalog') }} as definition
  on told.feature_id = definition.id and told.version = definition.version and definition.is_current
