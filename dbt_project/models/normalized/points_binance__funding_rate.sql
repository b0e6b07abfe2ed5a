-- One row: a version of a point of a feature that takes its number from settled funding.
{{ points_of('binance', 'funding_rate', ['funding_rate', 'mark_price']) }}
