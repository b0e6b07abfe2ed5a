-- One row: a version of a point of a feature that takes its number from the statistics of 24 hours.
{{ points_of('binance', 'ticker_24h', [
  'price_change', 'price_change_percent', 'weighted_avg_price', 'prev_close_price', 'last_price', 'last_qty',
  'bid_price', 'bid_qty', 'ask_price', 'ask_qty', 'open_price', 'high_price', 'low_price', 'volume', 'quote_volume',
  'count'
]) }}
