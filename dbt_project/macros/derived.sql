{# The published versions that a consumer has not read yet; all of them under a full refresh. #}
{% macro changed_versions(consumer) -%}
{%- set versions = source('features', 'features_versions') -%}
{%- if flags.FULL_REFRESH -%}
select told.* from {{ versions }} as told
{%- else -%}
select told.*
from {{ source('ops', 'changed_days') }} as changed
-- Apart, so that it reads by the index and the day's partition, whatever the planner expects.
cross join lateral (
  select held.*
  from {{ versions }} as held
  where
    held.feature_id = changed.feature_id
    and held.version = changed.version
    and held.grain = changed.grain
    and held.xid = changed.xid
    and held.ts >= changed.day::timestamp at time zone 'UTC'
    and held.ts < (changed.day + 1)::timestamp at time zone 'UTC'
  offset 0
) as told
where {{ is_new('changed.xid', consumer) }}
{%- endif -%}
{%- endmacro %}

{# The points, of the inputs of a model's features, that this run has to look at: their versions were appended by
   transactions that committed since the last run, or the feature is new, or everything is derived again. #}
{% macro input_points_with_news(model) -%}
{%- set wiring = source('registry', 'feature_inputs') -%}
{%- set versions = source('features', 'features_versions') -%}
{%- if not flags.FULL_REFRESH -%}
select
  wiring.feature_id,
  wiring.version,
  wiring.position,
  told.ts
from ({{ changed_versions('derived') }}) as told
inner join {{ wiring }} as wiring
  on told.feature_id = wiring.input_id and told.version = wiring.input_version
where wiring.model = '{{ model }}' and wiring.is_current
union
{% endif -%}
select
  wiring.feature_id,
  wiring.version,
  wiring.position,
  told.ts
from {{ wiring }} as wiring
inner join {{ versions }} as told
  on
    wiring.input_id = told.feature_id
    and wiring.input_version = told.version
    and wiring.input_grain = told.grain
where
  wiring.model = '{{ model }}' and wiring.is_current
  {%- if not flags.FULL_REFRESH %}
  and (select count(*) from {{ wiring }} where {{ is_new('xid', 'derived') }}) > 0
  and {{ is_new('wiring.xid', 'derived') }}
  {%- endif %}
{%- endmacro %}

{# When a period described by `ts` is over: an expression, so that the planner sees through it. #}
{% macro valid_at(ts, of, prefix='') -%}
case
  when {{ of }}.{{ prefix }}label <> 'start' then {{ ts }}
  when {{ of }}.{{ prefix }}is_session then (
    -- A value on a day without a session counts as closed with the session before.
    select session.close_at from {{ source('registry', 'calendar_sessions') }} as session
    where session.calendar = {{ of }}.{{ prefix }}calendar and session.date <= ({{ ts }} at time zone 'UTC')::date
    order by session.date desc limit 1
  )
  else {{ ts }} + {{ of }}.{{ prefix }}period
end
{%- endmacro %}

{# The ts of a point whose period is over at `instant`. #}
{% macro ts_of(instant, of) -%}
case
  when {{ of }}.label <> 'start' then {{ instant }}
  when {{ of }}.is_session then (
    select session.date::timestamp at time zone 'UTC' from {{ source('registry', 'calendar_sessions') }} as session
    where
      session.calendar = {{ of }}.calendar
      and session.close_at = {{ instant }}
      and session.date between ({{ instant }} at time zone 'UTC')::date - 1 and ({{ instant }} at time zone 'UTC')::date
  )
  else {{ instant }} - {{ of }}.period
end
{%- endmacro %}

{# What is known of a model's inputs at each instant, as of each moment at which any of them may have changed.

   `slots` are the inputs as the formula names them: a name takes the catalog's inputs in order; `{'name': …,
   'position': 1, 'lag': '365 days'}` is an input at an earlier instant. Of each slot the newest known value counts that
   is no older than the feature's max_age. `settled` leaves out values that the source will still change.

   One row: an instant and a moment, with a column for each slot, null where nothing is known. Instants are those at
   which a period of an input that is not lagged ended; feature, inputs' keys and what follows from them come along. #}
{% macro inputs_as_of(model, slots, settled=false) -%}
{%- set versions = source('features', 'features_versions') -%}
{%- set named = [] -%}
{%- for slot in slots -%}
  {%- do named.append({'name': slot, 'position': loop.index, 'lag': '0'} if slot is string else slot) -%}
{%- endfor -%}
with wiring as materialized (
  select
    inputs.*,
    slots.slot,
    slots.lag,
    coalesce(inputs.max_age, interval '0') as oldest
  from {{ source('registry', 'feature_inputs') }} as inputs
  inner join (
    values {% for slot in named %}('{{ slot.name }}', {{ slot.position }}, interval '{{ slot.lag }}')
    {%- if not loop.last %}, {% endif %}{% endfor %}
  ) as slots (slot, position, lag) on inputs.position = slots.position
  where inputs.model = '{{ model }}' and inputs.is_current
),

news as (
  {{ input_points_with_news(model) }}
),

-- The instants that a point may count at, as few spans.
reached as materialized (
  select
    feature_id,
    version,
    unnest(range_agg(tstzrange(valid_at + lag, valid_at + lag + oldest, '[]'))) as instants
  from (
    select wiring.feature_id, wiring.version, wiring.lag, wiring.oldest, {{ valid_at('news.ts', 'wiring', 'input_') }} as valid_at
    from news
    inner join wiring on news.feature_id = wiring.feature_id and news.version = wiring.version
      and news.position = wiring.position
  ) as ended
  group by feature_id, version
),

-- Looked up by index, each for itself: between tables without statistics the planner would compare all with all.
instants as materialized (
  select distinct on (wiring.feature_id, wiring.version, point.valid_at)
    wiring.feature_id,
    wiring.version,
    wiring.grain,
    point.valid_at as instant,
    {{ ts_of('point.valid_at', 'wiring') }} as ts,
    point.available_at as begins_at
  from reached
  inner join wiring using (feature_id, version)
  cross join lateral ({{ _inputs_between('lower(reached.instants)', 'upper(reached.instants)') }}) as point
  where wiring.lag = interval '0' and point.valid_at <@ reached.instants
  order by wiring.feature_id, wiring.version, point.valid_at, point.available_at
),

-- At each instant every version that may count there.
pool as materialized (
  select
    instants.*,
    wiring.slot,
    wiring.position,
    wiring.input_id,
    wiring.input_version,
    wiring.lag = interval '0' and point.valid_at = instants.instant as is_of_instant,
    point.ts as input_ts,
    point.valid_at,
    point.value,
    point.available_at,
    point.available_basis,
    point.ingested_at,
    point.is_provisional,
    point.confidence,
    held.moments as held_at,
    array_agg(point.available_at) over (partition by instants.feature_id, instants.version, instants.instant)
    || coalesce(held.moments, '{}') as moments
  from instants
  inner join wiring using (feature_id, version)
  cross join lateral (
    {{ _inputs_between('instants.instant - wiring.lag - wiring.oldest', 'instants.instant - wiring.lag') }}
  ) as point
  cross join lateral (
    select array_agg(told.available_at) as moments
    from {{ versions }} as told
    where
      told.feature_id = instants.feature_id
      and told.version = instants.version
      and told.grain = instants.grain
      and told.ts = instants.ts
  ) as held
  where point.valid_at between instants.instant - wiring.lag - wiring.oldest and instants.instant - wiring.lag
),

-- Each of them as of each moment from its own on: the newest says what is known of its ts.
known as (
  select distinct on (pool.feature_id, pool.version, pool.instant, moment.known_at, pool.slot, pool.valid_at)
    pool.*,
    moment.known_at
  from pool
  cross join lateral (select distinct unnest(pool.moments) as known_at) as moment
  where moment.known_at >= greatest(pool.available_at, pool.begins_at)
  order by
    pool.feature_id, pool.version, pool.instant, moment.known_at, pool.slot, pool.valid_at,
    pool.available_at desc, pool.ingested_at desc
),

counting as (
  select distinct on (feature_id, version, instant, known_at, slot)
    *,
    value is not null {%- if settled %} and not is_provisional {%- endif %} as counts
  from known
  order by
    feature_id, version, instant, known_at, slot,
    value is not null {%- if settled %} and not is_provisional {%- endif %} desc, valid_at desc
),

sets as (
  select
    feature_id,
    version,
    grain,
    ts,
    known_at,
    -- An instant is one while an input has a value whose period ended there.
    bool_or(is_of_instant and counts) as is_instant,
    bool_or(known_at = any(held_at)) as is_held,
    {%- for slot in named %}
    max(value) filter (where slot = '{{ slot.name }}' and counts) as {{ slot.name }},
    {%- endfor %}
    array_agg(slot || input_ts || available_at order by slot) filter (where counts) as keys,
    bool_or(is_provisional) filter (where counts) as is_provisional,
    min(confidence) filter (where counts) as confidence,
    max(array_position(array['vintage', 'schedule', 'stated', 'ingested', 'backfilled'], available_basis))
    filter (where counts) as weakest,
    jsonb_agg(distinct input_id) as input_ids,
    jsonb_agg(jsonb_build_object(
      'feature', input_id, 'version', input_version, 'ts', input_ts, 'available_at', available_at
    ) order by position, input_ts desc) filter (where counts) as evidence
  from counting
  group by feature_id, version, grain, ts, known_at
)

select
  feature_id,
  version,
  grain,
  ts,
  known_at,
  {%- for slot in named %}
  case when is_instant then {{ slot.name }} end as {{ slot.name }},
  {%- endfor %}
  keys,
  is_held,
  (array['vintage', 'schedule', 'stated', 'ingested', 'backfilled'])[weakest] as available_basis,
  is_provisional,
  confidence,
  input_ids,
  evidence
from sets
where ts is not null
{%- endmacro %}

{# The versions of the input that `wiring` names whose periods may end between two instants. `offset 0` keeps it a lookup
   of its own, by index: pulled up, the planner would read the whole input for each instant. #}
{% macro _inputs_between(since, until) -%}
    select
      told.*,
      {{ valid_at('told.ts', 'wiring', 'input_') }} as valid_at
    from {{ source('features', 'features_versions') }} as told
    where
      told.feature_id = wiring.input_id
      and told.version = wiring.input_version
      and told.grain = wiring.input_grain
      -- A session ends on the day of its ts.
      and told.ts >= {{ since }}
        - case when wiring.input_is_session then interval '1 day' else coalesce(wiring.input_period, interval '0') end
      and told.ts <= {{ until }}
    offset 0
{%- endmacro %}

{# The versions that a formula over `inputs_as_of` makes: one for each moment at which the inputs that count changed.
   `formula` is a relation of its rows with the column `value`. What is held at other moments is told again: late inputs
   may have made it untrue. #}
{% macro versions_from(formula) -%}
select
  feature_id,
  version,
  grain,
  ts,
  value,
  known_at as available_at,
  coalesce(available_basis, 'schedule') as available_basis,
  coalesce(is_provisional, false) as is_provisional,
  coalesce(confidence, 1) as confidence,
  jsonb_build_object('inputs', coalesce(input_ids, '[]')) as meta,
  coalesce(evidence, '[]') as evidence
from (
  select
    *,
    lag(case when value is not null then keys end) over history is distinct from case when value is not null then keys end
      as is_change
  from {{ formula }}
  window history as (partition by feature_id, version, ts order by known_at)
) as histories
where is_change or is_held
{%- endmacro %}
