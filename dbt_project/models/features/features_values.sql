-- One row: a point as it is known today.
{{ config(materialized='kept_in_step') }}

select * from {{ ref('features_versions') }}
