-- One row: a version of a point of a feature, in the feature's unit, exact; null where the source said "not known".
with stated as (
  select
    'fred' as source_slug,
    'observations' as stream,
    series,
    ts,
    stated_value,
    stated_unit,
    fetch_id,
    available_at,
    available_basis,
    is_provisional,
    xid
  from {{ ref('stg_fred__observations') }}
)

select
  meaning.feature_id,
  meaning.version,
  meaning.grain,
  stated.ts,
  stated.stated_value * meaning.factor as value,
  stated.available_at,
  stated.available_basis,
  stated.is_provisional,
  stated.fetch_id,
  stated.source_slug,
  stated.series,
  greatest(stated.xid, meaning.xid) as xid
from stated
inner join {{ source('registry', 'feature_series') }} as meaning
  on
    stated.source_slug = meaning.source_slug
    and stated.stream = meaning.stream
    and stated.series = meaning.series
    and meaning.is_current
    and (
      meaning.unit_stated is null
      or meaning.unit_stated = registry.normal_unit(stated.stated_unit)
    )
