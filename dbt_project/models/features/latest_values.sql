-- One row: the newest point of a feature.
{{ config(materialized='kept_in_step') }}

select * from {{ ref('features_values') }}
