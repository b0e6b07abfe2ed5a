{# Fails on features computed from several inputs whose units are not all the feature's own: dollars and millions of
   dollars do not add up. A feature of one input may be in another unit, as a ratio is. #}
{% test inputs_share_a_unit(model) %}
select
  feature_id,
  unit,
  input_id,
  input_unit
from (
  select
    *,
    count(*) over (partition by feature_id, version) as inputs
  from {{ model }}
  where is_current
) as wiring
where inputs > 1 and input_unit <> unit
{% endtest %}
