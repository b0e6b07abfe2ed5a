-- One row: a version of a point of a feature that takes its number from flows of Bitcoin ETFs; unfinished days are not among them.
{{ points_of('farside', 'btc', ['value'], only='stated.is_partial is not true') }}
