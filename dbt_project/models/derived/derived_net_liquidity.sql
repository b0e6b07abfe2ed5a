-- One row: a version of net liquidity, for each moment at which one of the three that count changed.
with inputs as (
  {{ inputs_as_of('derived_net_liquidity', ['assets', 'treasury', 'repos']) }}
),

net as (
  select
    *,
    assets - treasury - repos as value
  from inputs
)

{{ versions_from('net') }}
