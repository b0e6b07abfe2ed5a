-- One row: a version of a point of a feature that takes its number from the circulation of stablecoins.
{{ points_of('defillama', 'stablecoincharts', ['total_circulating_usd']) }}
