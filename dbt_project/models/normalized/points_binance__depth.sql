-- One row: a version of a point of a feature that takes its number from a spot book.
{{ points_of('binance', 'depth', [
  'best_bid', 'best_ask', 'bid_depth_2pct', 'ask_depth_2pct', 'bid_reach', 'ask_reach'
]) }}
