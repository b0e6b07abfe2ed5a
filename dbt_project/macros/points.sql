{# The models of schema normalized, one for each stream. Each is one raw table and its mapping: joined further, the
   planner still sees the table's indexes, which it would not through a union of them all. #}
{% macro points_models() -%}
  {{ return([
    'points_fred__observations',
    'points_binance__klines_1m',
    'points_binance__klines_1h',
    'points_binance__funding_rate',
    'points_binance__ticker_24h',
  ]) }}
{%- endmacro %}

{# Every version of every point that readings of a stream make, in the feature's unit, exact. `fields` are the columns
   that a feature may name as its number. #}
{% macro points_of(slug, stream, fields, states_unit=false) -%}
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
where not (stated.is_provisional and meaning.provisional = 'partial')
{%- endmacro %}
