-- One row: a version of a point of a feature that takes its number from the venues' open interest.
{{ points_of('cex', 'open_interest', [
  'open_interest_usd'
], meta=meta_of_venues(), share=share_of_venues()) }}
