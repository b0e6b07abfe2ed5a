-- One row: a version of a point, appended by the one writer; an older row is never changed.
{{ config(materialized='append_versions') }}

select * from {{ ref('candidates') }}
