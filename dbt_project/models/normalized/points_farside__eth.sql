-- One row: a version of a point of a feature that takes its number from finished days of Ether ETFs' flows.
{{ points_of('farside', 'eth', ['value'], only='stated.is_partial is not true') }}
