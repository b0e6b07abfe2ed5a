-- One row: a version of a point of a feature that takes its number from the depth of the venues' books.
{{ points_of('cex', 'books', [
  'depth_2pct_usd', 'bid_depth_2pct_usd', 'ask_depth_2pct_usd'
], meta=meta_of_venues(), share=share_of_venues()) }}
