-- One row: a version of a point of a feature that takes its number from gas prices.
{{ points_of('etherscan', 'gasoracle', [
  'value', 'safe_gas_price', 'fast_gas_price', 'suggest_base_fee', 'last_block'
]) }}
