-- One row: a version of a point of a feature that takes its number from candles; open candles are not among them.
{{ points_of('binance', 'klines_1m', [
  'open', 'high', 'low', 'close', 'volume', 'quote_volume', 'trades', 'taker_base_volume', 'taker_quote_volume'
]) }}
