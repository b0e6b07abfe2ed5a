{# Appends the model's rows through the one writer. The tables belong to the migrations: nothing here creates, drops or
   swaps them, not even a full refresh. #}
{% materialization append_versions, adapter='postgres' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set candidates = model['alias'] ~ '__candidates' -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% call statement('candidates') -%}
    create temporary view {{ candidates }} as {{ sql }}
  {%- endcall %}
  {% call statement('append', fetch_result=True) -%}
    select inserted, duplicate from features.append_versions('{{ candidates }}')
  {%- endcall %}
  {%- set appended, duplicate = load_result('append')['data'][0] -%}
  {% call statement('drop_candidates') -%} drop view {{ candidates }} {%- endcall %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {% call noop_statement('main', appended ~ ' appended, ' ~ duplicate ~ ' held already', 'APPEND', appended) -%}
    {{ sql }}
  {%- endcall %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A table that append_versions keeps in step with features_versions: it is here for its lineage, docs and tests. #}
{% materialization kept_in_step, adapter='postgres' %}
  {% call noop_statement('main', 'KEPT IN STEP') -%} {{ sql }} {%- endcall %}
  {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}
