-- One row: a version of a point of a feature that takes its number from the hash rate of Bitcoin.
{{ points_of('blockchain', 'hash_rate', ['value']) }}
