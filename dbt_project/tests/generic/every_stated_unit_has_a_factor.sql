{# Fails on raw readings of a mapped series whose stated unit the catalog does not scale: they would be lost. #}
{% test every_stated_unit_has_a_factor(model) %}
select distinct
  stated.series,
  stated.stated_unit
from {{ ref('stg_fred__observations') }} as stated
inner join {{ source('registry', 'feature_series') }} as meaning
  on
    meaning.source_slug = 'fred'
    and meaning.stream = 'observations'
    and stated.series = meaning.series
    and meaning.is_current
group by stated.series, stated.stated_unit
having not bool_or(
  meaning.unit_stated is null
  or meaning.unit_stated = registry.normal_unit(stated.stated_unit)
)
{% endtest %}
