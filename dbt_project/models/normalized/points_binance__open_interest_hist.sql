-- One row: a version of a point of a feature that takes its number from the history of a perpetual's open interest.
{{ points_of('binance', 'open_interest_hist', [
  'sum_open_interest', 'sum_open_interest_value', 'cmc_circulating_supply'
]) }}
