-- One row: a day, with every feature as it was known at the day's end.
{{ config(
  materialized='view',
  post_hook=[
    "drop function if exists features.daily_panel_as_stored(timestamptz)",
    "create function features.daily_panel_as_stored(stored_at timestamptz) returns setof {{ this }} language sql stable
     as $$ {{ panel_as_stored('stored_at') }} $$",
    "comment on function features.daily_panel_as_stored(timestamptz) is 'features.daily_panel as this store held it at
stored_at, without what late loads changed since: select * from features.daily_panel_as_stored(''2026-11-01'')'",
  ]
) }}

{{ panel_as_stored("'infinity'") }}
