{# Rows that this run has to look at: those of transactions that committed since the last run. #}
{% macro is_new(xid) -%}
  {%- if not flags.FULL_REFRESH -%}
  {{ xid }} >= (select done_xid from ops.watermarks where consumer = 'transform') and
  {% endif -%}
  {{ is_readable(xid) }}
{%- endmacro %}

{# Rows that are committed for certain, in whatever order their transactions committed. #}
{% macro is_readable(xid) -%}
  {{ xid }} < (select open_xid from ops.watermarks where consumer = 'transform')
{%- endmacro %}
