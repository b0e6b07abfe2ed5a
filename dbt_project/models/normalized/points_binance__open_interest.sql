-- One row: a version of a point of a feature that takes its number from the open interest of a perpetual.
{{ points_of('binance', 'open_interest', ['open_interest']) }}
