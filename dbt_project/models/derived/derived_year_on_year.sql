-- One row: a version of a feature against itself 365 days before, as a ratio less 1.
with inputs as (
  {{ inputs_as_of(
    'derived_year_on_year',
    ['this_year', {'name': 'last_year', 'position': 1, 'lag': '365 days'}],
    settled=true
  ) }}
),

growth as (
  select
    *,
    this_year / nullif(last_year, 0) - 1 as value
  from inputs
)

{{ versions_from('growth') }}
