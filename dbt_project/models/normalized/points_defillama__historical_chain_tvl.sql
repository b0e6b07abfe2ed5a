-- One row: a version of a point of a feature that takes its number from what is locked on a chain.
{{ points_of('defillama', 'historical_chain_tvl', ['tvl']) }}
