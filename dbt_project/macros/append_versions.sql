{# Appends the model's rows through the one writer. The tables belong to the migrations: nothing here creates, drops or
   swaps them, not even a full refresh.

   A month of days, or as many years of daily features, is one slice and one transaction: what a run usually has. Longer
   histories are appended slice by slice, the newest first, so that locks and waiting writers stay few; a run that dies
   between slices is repeated by the next one, for which what was appended is held already. The partitions of a slice
   are committed before it. #}
{% materialization append_versions, adapter='postgres' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set candidates = model['alias'] ~ '__candidates' -%}
  {%- set total = namespace(appended=0, duplicate=0) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% call statement('candidates') -%}
    create temporary view {{ candidates }} as {{ sql }}
  {%- endcall %}
  {% call statement('slices', fetch_result=True) -%}
    select condition from features.slices('{{ candidates }}') order by slice
  {%- endcall %}
  {%- for slice in load_result('slices')['data'] %}
    {% call statement('slice') -%}
      create or replace temporary view {{ candidates }} as select * from ({{ sql }}) as candidate where {{ slice[0] }}
    {%- endcall %}
    {% call statement('partitions') -%} select features.make_partitions('{{ candidates }}') {%- endcall %}
    {{ adapter.commit() }}
    {% call statement('append', fetch_result=True) -%}
      select inserted, duplicate from features.append_versions('{{ candidates }}')
    {%- endcall %}
    {{ adapter.commit() }}
    {%- set appended, duplicate = load_result('append')['data'][0] -%}
    {%- set total.appended = total.appended + appended -%}
    {%- set total.duplicate = total.duplicate + duplicate -%}
  {%- endfor %}
  {% call statement('drop_candidates') -%} drop view {{ candidates }} {%- endcall %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {% call noop_statement('main', total.appended ~ ' appended, ' ~ total.duplicate ~ ' held already', 'APPEND', total.appended) -%}
    {{ sql }}
  {%- endcall %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A table that append_versions keeps in step with features_versions: it is here for its lineage, docs and tests. #}
{% materialization kept_in_step, adapter='postgres' %}
  {% call noop_statement('main', 'KEPT IN STEP') -%} {{ sql }} {%- endcall %}
  {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}
