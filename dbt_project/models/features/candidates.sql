-- One row: a version that may be appended. A run is of one layer: what raw rows make, or what published versions make.
{{ config(materialized='table', indexes=[{'columns': ['grain', 'ts']}], post_hook="analyze {{ this }}") }}

{% for model in candidate_models() %}
  select * from {{ ref(model) }}
  {% if not loop.last %}union all{% endif %}
{% endfor %}
