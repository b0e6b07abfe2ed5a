{# Fails on features computed from several inputs that are not all in the feature's own unit: dollars and millions of
   dollars do not add up. A ratio's inputs share one unit; a feature of one input may be in another. #}
{% test inputs_share_a_unit(model) %}
select
  feature_id,
  unit,
  input_id,
  input_unit
from (
  select
    *,
    count(*) over (partition by feature_id, version) as inputs,
    min(input_unit) over (partition by feature_id, version) as first_unit
  from {{ model }}
  where is_current
) as wiring
where inputs > 1 and input_unit <> case unit when 'ratio' then first_unit else unit end
{% endtest %}
