-- One row: a version of a point of a feature that takes its number from Blockchain.com's average price.
{{ points_of('blockchain', 'market_price', ['value']) }}
