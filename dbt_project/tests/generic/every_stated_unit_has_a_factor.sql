{# Fails on new readings of a mapped series whose stated unit the catalog does not scale: they would be lost. A series
   whose mapping is new is read again from its start. #}
{% test every_stated_unit_has_a_factor(model, stated, slug, stream) %}
with new_readings as (
  select
    series,
    stated_unit
  from {{ stated }}
  where {{ is_new('xid') }}
  union all
  select
    series,
    stated_unit
  from {{ stated }}
  where series in (
    select meaning.series
    from {{ source('registry', 'feature_series') }} as meaning
    where meaning.source_slug = '{{ slug }}' and meaning.stream = '{{ stream }}' and {{ is_new('meaning.xid') }}
  )
)

select distinct
  reading.series,
  reading.stated_unit
from new_readings as reading
inner join {{ source('registry', 'feature_series') }} as meaning
  on
    meaning.source_slug = '{{ slug }}'
    and meaning.stream = '{{ stream }}'
    and reading.series = meaning.series
    and meaning.is_current
group by reading.series, reading.stated_unit
having not bool_or(
  meaning.unit_stated is null
  or meaning.unit_stated = registry.normal_unit(reading.stated_unit)
)
{% endtest %}
