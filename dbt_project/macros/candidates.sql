{# The models whose rows may be appended, by the layer that this run is of. #}
{% macro candidate_models() -%}
  {%- set layers = {'raw': ['point_versions'], 'derived': derived_models()} -%}
  {{ return(layers.get(var('layer', 'all'), layers['raw'] + layers['derived'])) }}
{%- endmacro %}
