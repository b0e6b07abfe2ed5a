-- One row: a version of a seasonally adjusted twin, one for each version of its input that is not provisional.

{%- set wiring = source('registry', 'feature_inputs') %}
{%- set versions = source('features', 'features_versions') %}

with seasons (season, span, cell_seconds, origin, cycle, reach) as (
  values
  {%- for season in seasons() %}
    (
      '{{ season.season }}', '{{ season.window }}', {{ season.cell_seconds }}, {{ season.origin }},
      {{ season.cycle }}, {{ season.cycle - 1 + season.lags | max + season.parts_reach + season.cycle // 2 }}
    ){% if not loop.last %},{% endif %}
  {%- endfor %}
),

twins as materialized (
  select
    inputs.feature_id,
    inputs.version,
    inputs.grain,
    inputs.input_id,
    inputs.input_version,
    inputs.input_grain,
    seasons.*
  from {{ wiring }} as inputs
  inner join seasons using (season)
  where inputs.model = 'seasonal_factors' and inputs.is_current
),

-- Cells whose points may come out otherwise: those with news, and those that look back at them; as few spans.
affected as materialized (
  select
    feature_id,
    version,
    unnest(range_agg(int8range(cell, cell + reach, '[]'))) as cells
  from (
    select
      twins.feature_id,
      twins.version,
      twins.reach,
      floor((extract(epoch from news.ts) - twins.origin) / twins.cell_seconds)::bigint as cell
    from ({{ input_points_with_news('seasonal_factors') }}) as news
    inner join twins using (feature_id, version)
  ) as news
  group by feature_id, version
),

-- Every version of the input from the beginning of the first window on, as last corrected.
told as materialized (
  select
    twins.*,
    lower(affected.cells) as first_affected,
    floor((extract(epoch from point.ts) - twins.origin) / twins.cell_seconds)::bigint as cell,
    point.ts,
    point.value,
    point.available_at,
    point.available_basis,
    point.is_provisional,
    point.confidence
  from affected
  inner join twins using (feature_id, version)
  -- Apart, so that whatever the planner expects, it reads by the index and the partitions of the span only.
  cross join lateral (
    select distinct on (held.ts, held.available_at)
      held.ts,
      held.value,
      held.available_at,
      held.available_basis,
      held.is_provisional,
      held.confidence
    from {{ versions }} as held
    where
      held.feature_id = twins.input_id
      and held.version = twins.input_version
      and held.grain = twins.input_grain
      and held.ts >= to_timestamp(twins.origin + (lower(affected.cells) - twins.reach) * twins.cell_seconds)
      and held.ts < to_timestamp(twins.origin + upper(affected.cells) * twins.cell_seconds)
    order by held.ts asc, held.available_at asc, held.ingested_at desc
  ) as point
),

-- A point counts for windows from half a cycle later on. What is available by then is seen by all of them; whatever
-- comes later changes history, and with it begins an epoch: within one, every window sees the same history.
seen as materialized (
  select
    *,
    case when available_at > settled_at then available_at else '-infinity' end as seen_from,
    coalesce(
      lead(available_at) over (partition by feature_id, version, first_affected, ts order by available_at),
      'infinity'
    ) as seen_until,
    coalesce(
      max(case when available_at > settled_at then available_at end)
        over (partition by feature_id, version, first_affected order by available_at),
      '-infinity'
    ) as since,
    min(value) over (partition by feature_id, version, first_affected) as lowest
  from (
    select
      *,
      to_timestamp(origin + (cell + cycle / 2) * cell_seconds) as settled_at
    from told
  ) as timed
),

-- What is to be adjusted.
points as (
  select *
  from seen
  where cell >= first_affected and not is_provisional
),

epochs as materialized (
  select
    row_number() over () as epoch,
    feature_id,
    version,
    first_affected,
    since,
    min(cell) as first_cell,
    max(cell) as last_cell,
    case when min(lowest) > 0 then array['multiplicative'] else array['multiplicative', 'additive'] end as methods
  from points
  where value is not null
  group by feature_id, version, first_affected, since
),

-- The history of an epoch.
cells as materialized (
  select
    epochs.epoch,
    epochs.first_cell,
    epochs.last_cell,
    epochs.methods,
    seen.season,
    seen.cycle,
    seen.reach,
    seen.cell,
    avg(case when seen.value > 0 then ln(seen.value) end order by seen.ts) as logarithm,
    avg(seen.value order by seen.ts) as amount,
    min(seen.value) as lowest
  from epochs
  inner join seen using (feature_id, version, first_affected)
  where
    seen.cell between epochs.first_cell - seen.reach and epochs.last_cell - seen.cycle / 2 - 1
    and seen.seen_from <= epochs.since
    and seen.seen_until > epochs.since
    and seen.seen_until > seen.settled_at
    and seen.value is not null
    and not seen.is_provisional
  group by
    epochs.epoch, epochs.first_cell, epochs.last_cell, epochs.methods, seen.season, seen.cycle, seen.reach, seen.cell
),

-- The cells whose window holds a number that has no logarithm.
additive as materialized (
  select
    epoch,
    range_agg(int8range(cell + cycle / 2 + 1, cell + reach, '[]')) as cells
  from cells
  where lowest <= 0
  group by epoch
),

effects as (
  {% for season in seasons() %}
    {{ seasonal_effects(season) }}
    {% if not loop.last %}union all{% endif %}
  {% endfor %}
),

methods as (
  select
    points.*,
    epochs.epoch,
    case
      when points.value > 0 and not coalesce(points.cell <@ additive.cells, false) then 'multiplicative'
      when points.value is not null then 'additive'
    end as method
  from points
  left join epochs using (feature_id, version, first_affected, since)
  left join additive using (epoch)
),

-- A full join is never made by nested loops, which the planner, knowing nothing of these rows, may take to be best.
matched as materialized (
  select
    methods.*,
    effects.observations,
    effects.strength,
    effects.effect
  from methods
  full join effects using (epoch, method, cell)
)

select
  feature_id,
  version,
  grain,
  ts,
  case method
    when 'multiplicative' then value / exp(coalesce(effect, 0))
    when 'additive' then value - coalesce(effect, 0)
  end as value,
  available_at,
  available_basis,
  is_provisional,
  confidence,
  jsonb_strip_nulls(jsonb_build_object(
    'inputs', jsonb_build_array(input_id),
    'season', season,
    'window', span,
    'method', method,
    'factor', case method when 'multiplicative' then exp(coalesce(effect, 0)) end,
    'amount', case method when 'additive' then coalesce(effect, 0) end,
    'observations', case when method is not null then coalesce(observations, 0) end,
    'finding', case
      when method is null then 'withdrawn'
      when effect is null then 'too little history'
      when strength = 0 then 'no season'
      else 'season'
    end
  )) as meta,
  jsonb_build_array(jsonb_build_object(
    'feature', input_id, 'version', input_version, 'ts', ts, 'available_at', available_at
  )) as evidence
from matched
where feature_id is not null
