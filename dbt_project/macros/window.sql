{# Rows that this run has to look at: those of transactions that committed since the consumer's last run. #}
{% macro is_new(xid, consumer='transform') -%}
  {%- if not flags.FULL_REFRESH -%}
  {{ xid }} >= (select done_xid from {{ source('ops', 'watermarks') }} where consumer = '{{ consumer }}') and
  {% endif -%}
  {{ is_readable(xid, consumer) }}
{%- endmacro %}

{# Rows of series whose mapping changed since the last run: all of them are news. Most runs meet no such series, and the
   first condition ends them before any row is looked at. #}
{% macro is_remapped(mapped_xid, xid) -%}
  {%- if flags.FULL_REFRESH -%}
  false
  {%- else -%}
  (select count(*) from {{ source('registry', 'feature_series') }} where {{ is_new('xid') }}) > 0
    and {{ is_new(mapped_xid) }}
    and {{ is_readable(xid) }}
  {%- endif -%}
{%- endmacro %}

{# Rows that are committed for certain, in whatever order their transactions committed. #}
{% macro is_readable(xid, consumer='transform') -%}
  {{ xid }} < (select open_xid from {{ source('ops', 'watermarks') }} where consumer = '{{ consumer }}')
{%- endmacro %}
