-- One row: a version of a point of a feature that takes its number from daily bars; open bars are not among them.
{{ points_of('tradingview', 'history', ['open', 'high', 'low', 'close', 'volume']) }}
