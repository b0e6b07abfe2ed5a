{# The store's now; a macro, so that a unit test can say when it is. #}
{% macro store_now() -%} ops.now() {%- endmacro %}

{# The cell that the panel holds now, of a row with a feature and a version. #}
{% macro held_cell(day, of) -%}
  select cell.*
  from {{ this }} as cell
  where cell.day = {{ day }} and cell.feature_id = {{ of }}.feature_id and cell.version = {{ of }}.version
  order by cell.ingested_at desc
  limit 1
{%- endmacro %}

{# The newest point that `looked_at` knows at its moment. The grain is written out: with one, partitions lie in the order
   of ts, and the newest is found in the first that has any. #}
{% macro newest_point_of(grain) -%}
  select told.*
  from {{ ref('features_versions') }} as told
  where
    looked_at.grain = '{{ grain }}'
    and told.grain = '{{ grain }}'
    and told.feature_id = looked_at.feature_id
    and told.version = looked_at.version
    and told.ts <= looked_at.last_ts
    and told.available_at <= looked_at.known_at
    and told.value is not null
    and not exists (
      select from {{ ref('features_versions') }} as later
      where
        later.grain = '{{ grain }}'
        and later.feature_id = told.feature_id
        and later.version = told.version
        and later.ts = told.ts
        and later.available_at <= looked_at.known_at
        and (later.available_at, later.ingested_at) > (told.available_at, told.ingested_at)
    )
  order by told.ts desc
  limit 1
{%- endmacro %}

{# The panel, as this store held it at an instant: an SQL expression. A row a day; of each feature its value, its age at
   the end of the day, and whether that is stale. #}
{% macro panel_as_stored(stored_at) -%}
select
  cells.day
  {%- for feature in panel_features() %},
  max(cells.value) filter (where cells.feature_id = '{{ feature.id }}') as {{ feature.column }},
  max(cells.age) filter (where cells.feature_id = '{{ feature.id }}') as {{ feature.column }}_age,
  bool_or(cells.is_stale) filter (where cells.feature_id = '{{ feature.id }}') as {{ feature.column }}_is_stale
  {%- endfor %}
from (
  select distinct on (cell.day, cell.feature_id) cell.*
  from {{ ref('daily_cells') }} as cell
  inner join {{ source('features', 'current_definitions') }} as definition using (feature_id, version)
  where cell.ingested_at <= {{ stored_at }}
  order by cell.day, cell.feature_id, cell.ingested_at desc
) as cells
group by cells.day
{%- endmacro %}
