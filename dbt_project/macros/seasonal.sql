{# The cycles that a twin may be adjusted for. Time is cut into cells of `cell_seconds` from `origin` (seconds from
   1970) on, `cycle` cells make one round; `lags` says how many cells ago the same season was. Cells of a week begin on
   Mondays. A year is 52.18 weeks: the lags are the nearest whole weeks, so that a year of 53 shifts no season.

   `parts` are groups of cells that a season shares its effect with: what all cells of an hour of the day have in common
   is known from seven times as many numbers as an hour of the week. `parts_reach` is how many cells back they look;
   `caution` is how many times its expected error the spread of a season must exceed to count at all. Window, caution
   and parts were chosen on real histories: docs/decisions/0008-seasonal-adjustment.md. #}
{% macro seasons() -%}
  {{ return([
    {
      'season': 'hour-of-week', 'window': '8 weeks', 'cell_seconds': 3600, 'origin': 0, 'cycle': 168,
      'lags': [168, 336, 504, 672, 840, 1008, 1176, 1344],
      'parts': ['cell % 24', 'cell / 24 % 7'], 'parts_reach': 167, 'caution': 1.0,
    },
    {
      'season': 'week-of-year', 'window': '6 years', 'cell_seconds': 604800, 'origin': -259200, 'cycle': 52,
      'lags': [52, 104, 157, 209, 261, 313],
      'parts': [], 'parts_reach': 0, 'caution': 1.25,
    },
  ]) }}
{%- endmacro %}

{# The effect of the season on each cell that a run asks for: a logarithm, or an amount.

   What a past cell deviates from the mean of the cycle around it is cut into parts; each is averaged over the same
   season of the window, shrunk toward none by how little its seasons differ beyond chance, and centred, so that a
   cycle of adjusted values keeps its level. Frames are ranges of cells: a missing cell leaves a gap and moves nothing.
   Sums over a moving frame are taken anew for each row, in order: a row comes out the same whatever else is built. #}
{% macro seasonal_effects(of) -%}
{%- set enough = (0.75 * of.cycle) | int -%}
select
  epoch,
  method,
  cell,
  min(observations) as observations,
  max(strength) as strength,
  sum(strength * (mean - centre) order by part) as effect
from (
  select
    *,
    avg(mean) over around as centre,
    count(*) over around as seasons_known,
    coalesce(greatest(0, 1 - {{ of.caution }} * avg(error) over around / nullif(var_pop(mean) over around, 0)), 0)
      as strength
  from (
    select
      shared.epoch,
      shared.method,
      parts.part,
      shared.cell + lags.lag as cell,
      count(*) as observations,
      avg(parts.deviation order by lags.lag) as mean,
      var_samp(parts.deviation order by lags.lag) / count(*) as error
    from (
      select
        *
        {%- for part in of.parts %},
        avg(deviation) over (
          partition by epoch, method, {{ part }} order by cell
          range between {{ of.parts_reach }} preceding and current row
        ) as part_{{ loop.index }}
        {%- endfor %}
      from (
        select
          cells.epoch,
          methods.method,
          cells.cell,
          cells.first_cell,
          cells.last_cell,
          case methods.method when 'multiplicative' then cells.logarithm else cells.amount end
          - avg(case methods.method when 'multiplicative' then cells.logarithm else cells.amount end) over around
            as deviation,
          count(*) over around as cells_around
        from cells
        cross join lateral unnest(cells.methods) as methods (method)
        where cells.season = '{{ of.season }}'
        window around as (
          partition by cells.epoch, methods.method order by cells.cell
          range between {{ of.cycle // 2 }} preceding and {{ of.cycle // 2 - 1 }} following
        )
      ) as deviations
      where cells_around >= {{ enough }}
    ) as shared
    cross join lateral (
      values
      {%- for part in of.parts %}
        ({{ loop.index }}, shared.part_{{ loop.index }}),
      {%- endfor %}
        (0, shared.deviation{% for part in of.parts %} - shared.part_{{ loop.index }}{% endfor %})
    ) as parts (part, deviation)
    cross join unnest(array{{ of.lags }}) as lags (lag)
    where shared.cell + lags.lag between shared.first_cell - {{ of.cycle - 1 }} and shared.last_cell
    group by shared.epoch, shared.method, parts.part, shared.cell + lags.lag
    having count(*) >= 3
  ) as means
  window around as (
    partition by epoch, method, part order by cell range between {{ of.cycle - 1 }} preceding and current row
  )
) as measured
where seasons_known >= {{ enough }}
group by epoch, method, cell
{%- endmacro %}
