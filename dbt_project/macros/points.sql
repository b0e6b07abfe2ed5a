{# The models of schema normalized, one for each stream, that this run reads anything of. Each is one raw table and its
   mapping: joined further, the planner still sees the table's indexes, which it would not through a union of them all.
   Asked before their SQL is made: to plan all of them costs more than a minute's rows do. Never none, for a run without
   news is made of SQL too.

   A point that a connector and publishers tell is looked at as a whole: news of the one brings the other's model along. #}
{% macro points_models_of_run() -%}
  {%- set models = points_models() -%}
  {%- if not execute or flags.FULL_REFRESH -%} {{ return(models) }} {%- endif -%}
  {%- call statement('of_run', fetch_result=True) -%}
    with remapped as (
      select from {{ source('registry', 'feature_series') }} where {{ is_new('xid') }} limit 1
    ),
    published as (
      select distinct meaning.source_slug, meaning.stream
      from raw.published_points as told
      inner join {{ source('registry', 'feature_series') }} as meaning
        on told.feature_id = meaning.feature_id and told.version = meaning.version and meaning.is_current
      where {{ is_new('told.xid') }}
    )
    {%- for model in models %}
    {%- set table = model | replace('points_', '', 1) %}
    select '{{ model }}' from (select) as once
    where
      {%- if model == published_model() %}
      exists (select from raw.published_points)
      {%- else %}
      exists (select from raw.{{ table | replace('__', '_', 1) }} where {{ is_new('xid') }})
      or exists (select from remapped)
      or exists (select from published where source_slug || '__' || stream = '{{ table }}')
      {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
  {%- endcall -%}
  {%- set of_run = load_result('of_run')['data'] | map(attribute=0) | list -%}
  {{ return(of_run or models[:1]) }}
{%- endmacro %}

{# Every version of every point that readings of a stream make, in the feature's unit, exact. `fields` are the columns
   that a feature may name as its number. `only` keeps readings in raw that are no points, `meta` is what else is known of
   a reading, `share` how much of what was asked for it holds, 0 to 1: SQL over the reading, `stated`. #}
{% macro points_of(slug, stream, fields, states_unit=false, only=none, meta="'{}'::jsonb", share='1') -%}
select
  meaning.feature_id,
  meaning.version,
  meaning.grain,
  stated.ts,
  case meaning.field
    {%- for field in fields %}
    when '{{ field }}' then stated.{{ field }}
    {%- endfor %}
  end * meaning.factor as value,
  {{ meta }} as meta,
  {{ share }}::numeric as share,
  null::double precision as confidence,
  null::jsonb as evidence,
  meaning.unit,
  meaning.label,
  meaning.period,
  meaning.is_session,
  stated.available_at,
  stated.available_basis,
  stated.is_provisional,
  stated.fetch_id,
  stated.reading,
  meaning.source_slug,
  meaning.stream,
  stated.series,
  stated.xid,
  meaning.xid as mapped_xid
from {{ ref('stg_' ~ slug ~ '__' ~ stream) }} as stated
inner join {{ source('registry', 'feature_series') }} as meaning
  on
    meaning.source_slug = '{{ slug }}'
    and meaning.stream = '{{ stream }}'
    and stated.series = meaning.series
    and meaning.is_current
    {%- if states_unit %}
    and (
      meaning.unit_stated is null
      or meaning.unit_stated = registry.normal_unit(stated.stated_unit)
    )
    {%- endif %}
where
  not (stated.is_provisional and meaning.provisional = 'partial')
  {%- if only %}
  and {{ only }}
  {%- endif %}
{%- endmacro %}

{# The model of what is published. #}
{% macro published_model() -%} {{ return('points_published__points') }} {%- endmacro %}

{# What is known of a sum over venues: who is in it, who is not and why, and whose book ends too early. #}
{% macro meta_of_venues() -%}
(
    select
      jsonb_strip_nulls(jsonb_build_object(
        'venues', coalesce(jsonb_agg(venue order by venue) filter (where not said ? 'missing'), '[]'),
        'missing', jsonb_object_agg(venue, said -> 'missing') filter (where said ? 'missing'),
        'truncated', jsonb_agg(venue order by venue) filter (where (said ->> 'is_truncated')::boolean)
      ))
    from jsonb_each(stated.venues) as told (venue, said)
  )
{%- endmacro %}

{# The share of the venues that are in a sum; all of them of what was taken back. #}
{% macro share_of_venues() -%} coalesce(stated.answered::numeric / nullif(stated.asked, 0), 1) {%- endmacro %}
