-- One row: a cell of the daily panel that is new, or that a late load has changed.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

with definitions as (
  select
    id as feature_id,
    version,
    grain,
    calendar,
    label,
    period = 'session' as is_session,
    case when period <> 'session' then period::interval end as period,
    make_interval(secs => ttl_ms / 1000.0) as ttl
  from {{ source('registry', 'features_catalog') }}
  where is_current
),

-- A day is over a minute after its end: what was available by then counts.
finished as (
  select ({{ store_now() }} - interval '1 minute')::date - 1 as last_day
),

changed as (
  {{ changed_versions('panel') }}
),

news as (
  select
    definition.feature_id,
    definition.version,
    greatest(
      (changed.available_at - interval '1 minute' - interval '1 microsecond')::date,
      ({{ valid_at('changed.ts', 'definition') }} - interval '1 microsecond')::date
    ) as first_day,
    changed.ts
  from changed
  inner join definitions as definition using (feature_id, version, grain)
),

reached as (
  select
    feature_id,
    version,
    first_day,
    max(ts) as ts
  from news
  group by feature_id, version, first_day
),

spans as (
  select
    feature_id,
    version,
    min(first_day) as first_day
  from reached
  group by feature_id, version
),

days as (
  select
    spans.feature_id,
    spans.version,
    days.day::date as day,
    max(newest.ts) over (partition by spans.feature_id, spans.version order by days.day) as ts
  from spans
  cross join finished
  cross join lateral generate_series(spans.first_day, finished.last_day, interval '1 day') as days (day)
  left join reached as newest
    on spans.feature_id = newest.feature_id and spans.version = newest.version and days.day::date = newest.first_day
),

-- A point matters to a day until a newer one does.
cells as (
  select
    days.feature_id,
    days.version,
    days.day
  from days
  left join lateral ({{ held_cell('days.day', 'days') }}) as held on true
  where held.ts is null or held.ts <= days.ts
  union
  select
    definitions.feature_id,
    definitions.version,
    days.day::date
  from definitions
  cross join finished
  cross join lateral generate_series(
    coalesce((select max(day) + 1 from {{ this }}), finished.last_day), finished.last_day, interval '1 day'
  ) as days (day)
),

looked_at as (
  select
    cells.day,
    definition.*,
    (cells.day + 1)::timestamp at time zone 'UTC' + interval '1 minute' as known_at,
    -- The last ts whose period is over at the end of the day.
    (cells.day + 1)::timestamp at time zone 'UTC' - case
      when definition.label <> 'start' then interval '0'
      when definition.is_session then interval '1 day'
      else definition.period
    end as last_ts
  from cells
  inner join definitions as definition using (feature_id, version)
),

newest as (
  select
    looked_at.*,
    point.ts,
    point.value,
    point.available_at,
    point.available_basis,
    {{ valid_at('point.ts', 'looked_at') }} as valid_at
  from looked_at
  left join lateral ( -- noqa: ST05
    ({{ newest_point_of('daily') }})
    union all
    ({{ newest_point_of('intraday') }})
  ) as point on true
),

aged as (
  select
    *,
    known_at - valid_at - features.closed_time(calendar, valid_at, known_at) as age
  from newest
)

select
  aged.day,
  aged.feature_id,
  aged.version,
  aged.ts,
  aged.value,
  aged.valid_at,
  aged.age,
  aged.age > aged.ttl as is_stale,
  aged.available_at,
  aged.available_basis,
  greatest({{ store_now() }}, held.ingested_at + interval '1 microsecond') as ingested_at
from aged
left join lateral ({{ held_cell('aged.day', 'aged') }}) as held on true
where (aged.ts, aged.value, aged.available_at) is distinct from (held.ts, held.value, held.available_at)
