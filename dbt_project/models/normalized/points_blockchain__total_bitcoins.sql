-- One row: a version of a point of a feature that takes its number from the bitcoins mined so far.
{{ points_of('blockchain', 'total_bitcoins', ['value']) }}
