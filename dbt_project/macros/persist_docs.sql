{# Writes a model's descriptions into the database, all in one statement. dbt's own looks up which columns there are,
   twice for each model, and that costs a minute's run more than its rows do. Here a described column that is not
   there fails the build. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- if config.persist_relation_docs() and model.description -%}
    {%- call statement('comments') -%}
      {{ postgres__alter_relation_comment(relation, model.description | trim) }}
      {%- for name, column in model.columns.items() %}
      comment on column {{ relation }}.{{ adapter.quote(name) }} is {{ postgres_escape_comment(column.description) }};
      {%- endfor -%}
    {%- endcall -%}
  {%- endif -%}
{%- endmacro %}
