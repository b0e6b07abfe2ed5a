-- One row: a version of a point of a feature that takes its number from a category of protocols.
{{ points_of('defillama', 'protocols', ['tvl', 'protocols', 'unknown']) }}
