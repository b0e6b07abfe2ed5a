-- Raw tables of the other sources; of what keys and readings are, see the tables of Binance's first streams.

create table if not exists raw.farside_btc (
  series text not null,
  ts timestamptz not null,
  value numeric,
  funds jsonb,
  is_partial boolean,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.farside_btc is
'Daily net flows of the US spot Bitcoin ETFs. https://farside.co.uk/btc/';
comment on column raw.farside_btc.series is 'Column of the page: Total, all funds together.';
comment on column raw.farside_btc.ts is 'The trading day at 00:00 UTC.';
comment on column raw.farside_btc.value is
'The day''s total as the page has it, in millions of USD; null while nothing is reported.';
comment on column raw.farside_btc.funds is
'Flow of each fund by ticker, in millions of USD; null where the page has none.';
comment on column raw.farside_btc.is_partial is
'Whether a fund that reports these days is still pending: the total lacks it.';
comment on column raw.farside_btc.fetch_id is 'The fetch that brought it.';
comment on column raw.farside_btc.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.farside_btc.available_at is 'The earliest instant at which Farside could have served this value.';
comment on column raw.farside_btc.available_basis is 'How available_at is known.';
comment on column raw.farside_btc.is_provisional is 'Whether it was fetched before the day''s release.';
comment on column raw.farside_btc.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.farside_btc.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists farside_btc_xid on raw.farside_btc (xid);

create table if not exists raw.farside_eth (
  series text not null,
  ts timestamptz not null,
  value numeric,
  funds jsonb,
  is_partial boolean,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.farside_eth is
'Daily net flows of the US spot Ether ETFs. https://farside.co.uk/eth/';
comment on column raw.farside_eth.series is 'Column of the page: Total, all funds together.';
comment on column raw.farside_eth.ts is 'The trading day at 00:00 UTC.';
comment on column raw.farside_eth.value is
'The day''s total as the page has it, in millions of USD; null while nothing is reported.';
comment on column raw.farside_eth.funds is
'Flow of each fund by ticker, in millions of USD; null where the page has none.';
comment on column raw.farside_eth.is_partial is
'Whether a fund that reports these days is still pending: the total lacks it.';
comment on column raw.farside_eth.fetch_id is 'The fetch that brought it.';
comment on column raw.farside_eth.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.farside_eth.available_at is 'The earliest instant at which Farside could have served this value.';
comment on column raw.farside_eth.available_basis is 'How available_at is known.';
comment on column raw.farside_eth.is_provisional is 'Whether it was fetched before the day''s release.';
comment on column raw.farside_eth.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.farside_eth.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists farside_eth_xid on raw.farside_eth (xid);

create table if not exists raw.defillama_stablecoincharts (
  series text not null,
  ts timestamptz not null,
  total_circulating_usd numeric,
  circulating_usd jsonb,
  circulating jsonb,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.defillama_stablecoincharts is
'Circulation of all stablecoins by day. https://defillama.com/docs/api';
comment on column raw.defillama_stablecoincharts.series is 'Chain: all of them together.';
comment on column raw.defillama_stablecoincharts.ts is 'The day at 00:00 UTC.';
comment on column raw.defillama_stablecoincharts.total_circulating_usd is
'In USD at market prices, summed over the pegs that the day has.';
comment on column raw.defillama_stablecoincharts.circulating_usd is 'The same by peg.';
comment on column raw.defillama_stablecoincharts.circulating is
'By peg in units of its own currency: never to be added up.';
comment on column raw.defillama_stablecoincharts.fetch_id is 'The fetch that brought it.';
comment on column raw.defillama_stablecoincharts.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.defillama_stablecoincharts.available_at is
'The earliest instant at which DeFi Llama could have served this value.';
comment on column raw.defillama_stablecoincharts.available_basis is 'How available_at is known.';
comment on column raw.defillama_stablecoincharts.is_provisional is
'Whether it was fetched while the day''s row still moved.';
comment on column raw.defillama_stablecoincharts.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.defillama_stablecoincharts.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists defillama_stablecoincharts_xid on raw.defillama_stablecoincharts (xid);

create table if not exists raw.defillama_protocols (
  series text not null,
  ts timestamptz not null,
  tvl numeric,
  protocols int,
  unknown int,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.defillama_protocols is
'Value locked in a category of protocols, as of now. https://defillama.com/docs/api';
comment on column raw.defillama_protocols.series is 'Category of protocols.';
comment on column raw.defillama_protocols.ts is
'When the answer arrived, by the store''s clock: it states no instant of its own.';
comment on column raw.defillama_protocols.tvl is
'Value locked in the protocols of the category that state one, in USD.';
comment on column raw.defillama_protocols.protocols is 'How many protocols of the category state a value.';
comment on column raw.defillama_protocols.unknown is 'How many protocols of the category state none.';
comment on column raw.defillama_protocols.fetch_id is 'The fetch that brought it.';
comment on column raw.defillama_protocols.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.defillama_protocols.available_at is
'The earliest instant at which DeFi Llama could have served this value.';
comment on column raw.defillama_protocols.available_basis is 'How available_at is known.';
comment on column raw.defillama_protocols.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.defillama_protocols.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.defillama_protocols.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists defillama_protocols_xid on raw.defillama_protocols (xid);

create table if not exists raw.defillama_historical_chain_tvl (
  series text not null,
  ts timestamptz not null,
  tvl numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.defillama_historical_chain_tvl is
'Value locked on a chain by day, without liquid staking and double counting. https://defillama.com/docs/api';
comment on column raw.defillama_historical_chain_tvl.series is 'Chain, as DeFi Llama spells it.';
comment on column raw.defillama_historical_chain_tvl.ts is
'The day at 00:00 UTC, the instant of the snapshot; the running row measures a later one.';
comment on column raw.defillama_historical_chain_tvl.tvl is 'Value locked, in USD.';
comment on column raw.defillama_historical_chain_tvl.fetch_id is 'The fetch that brought it.';
comment on column raw.defillama_historical_chain_tvl.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.defillama_historical_chain_tvl.available_at is
'The earliest instant at which DeFi Llama could have served this value.';
comment on column raw.defillama_historical_chain_tvl.available_basis is 'How available_at is known.';
comment on column raw.defillama_historical_chain_tvl.is_provisional is
'Whether it was fetched while the day''s row still moved.';
comment on column raw.defillama_historical_chain_tvl.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.defillama_historical_chain_tvl.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists defillama_historical_chain_tvl_xid on raw.defillama_historical_chain_tvl (xid);

create table if not exists raw.blockchain_hash_rate (
  series text not null,
  ts timestamptz not null,
  value numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.blockchain_hash_rate is
'Hash rate of the Bitcoin network by day. https://www.blockchain.com/explorer/api/charts_api';
comment on column raw.blockchain_hash_rate.series is 'Name of the chart.';
comment on column raw.blockchain_hash_rate.ts is 'The day at 00:00 UTC.';
comment on column raw.blockchain_hash_rate.value is 'Hash rate estimated from the blocks found that day, in TH/s.';
comment on column raw.blockchain_hash_rate.fetch_id is 'The fetch that brought it.';
comment on column raw.blockchain_hash_rate.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.blockchain_hash_rate.available_at is
'The earliest instant at which Blockchain.com could have served this value.';
comment on column raw.blockchain_hash_rate.available_basis is 'How available_at is known.';
comment on column raw.blockchain_hash_rate.is_provisional is
'Whether it was fetched while the day''s value may still be estimated anew.';
comment on column raw.blockchain_hash_rate.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.blockchain_hash_rate.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists blockchain_hash_rate_xid on raw.blockchain_hash_rate (xid);

create table if not exists raw.blockchain_total_bitcoins (
  series text not null,
  ts timestamptz not null,
  value numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.blockchain_total_bitcoins is
'Bitcoins mined so far, by day. https://www.blockchain.com/explorer/api/charts_api';
comment on column raw.blockchain_total_bitcoins.series is 'Name of the chart.';
comment on column raw.blockchain_total_bitcoins.ts is 'The day at 00:00 UTC.';
comment on column raw.blockchain_total_bitcoins.value is 'Bitcoins mined so far.';
comment on column raw.blockchain_total_bitcoins.fetch_id is 'The fetch that brought it.';
comment on column raw.blockchain_total_bitcoins.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.blockchain_total_bitcoins.available_at is
'The earliest instant at which Blockchain.com could have served this value.';
comment on column raw.blockchain_total_bitcoins.available_basis is 'How available_at is known.';
comment on column raw.blockchain_total_bitcoins.is_provisional is
'Whether it was fetched while the day''s value may still be estimated anew.';
comment on column raw.blockchain_total_bitcoins.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.blockchain_total_bitcoins.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists blockchain_total_bitcoins_xid on raw.blockchain_total_bitcoins (xid);

create table if not exists raw.blockchain_market_price (
  series text not null,
  ts timestamptz not null,
  value numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.blockchain_market_price is
'Average price of a bitcoin by day. https://www.blockchain.com/explorer/api/charts_api';
comment on column raw.blockchain_market_price.series is 'Name of the chart.';
comment on column raw.blockchain_market_price.ts is 'The day at 00:00 UTC.';
comment on column raw.blockchain_market_price.value is
'Average price of the day in USD; null where Blockchain.com writes 0, before there was a market.';
comment on column raw.blockchain_market_price.fetch_id is 'The fetch that brought it.';
comment on column raw.blockchain_market_price.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.blockchain_market_price.available_at is
'The earliest instant at which Blockchain.com could have served this value.';
comment on column raw.blockchain_market_price.available_basis is 'How available_at is known.';
comment on column raw.blockchain_market_price.is_provisional is
'Whether it was fetched while the day''s value may still be estimated anew.';
comment on column raw.blockchain_market_price.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.blockchain_market_price.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists blockchain_market_price_xid on raw.blockchain_market_price (xid);

create table if not exists raw.etherscan_gasoracle (
  series text not null,
  ts timestamptz not null,
  value numeric,
  last_block bigint,
  safe_gas_price numeric,
  fast_gas_price numeric,
  suggest_base_fee numeric,
  gas_used_ratio text,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.etherscan_gasoracle is
'Gas prices of Ethereum as of the last block. https://docs.etherscan.io/api-reference/endpoint/gasoracle';
comment on column raw.etherscan_gasoracle.series is 'Name of the price in the answer that value is.';
comment on column raw.etherscan_gasoracle.ts is
'When the answer arrived, by the store''s clock: it states no instant of its own.';
comment on column raw.etherscan_gasoracle.value is 'The proposed gas price, in gwei.';
comment on column raw.etherscan_gasoracle.last_block is 'Number of the block that the prices are of.';
comment on column raw.etherscan_gasoracle.safe_gas_price is 'The price for patient senders, in gwei.';
comment on column raw.etherscan_gasoracle.fast_gas_price is 'The price for hurried senders, in gwei.';
comment on column raw.etherscan_gasoracle.suggest_base_fee is
'Base fee of the next block, in gwei; null where the answer has none.';
comment on column raw.etherscan_gasoracle.gas_used_ratio is
'Shares of their limit that the last blocks used, comma-joined as they come; null where the answer has none.';
comment on column raw.etherscan_gasoracle.fetch_id is 'The fetch that brought it.';
comment on column raw.etherscan_gasoracle.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.etherscan_gasoracle.available_at is
'The earliest instant at which Etherscan could have served this value.';
comment on column raw.etherscan_gasoracle.available_basis is 'How available_at is known.';
comment on column raw.etherscan_gasoracle.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.etherscan_gasoracle.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.etherscan_gasoracle.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists etherscan_gasoracle_xid on raw.etherscan_gasoracle (xid);

create table if not exists raw.tradingview_history (
  series text not null,
  ts timestamptz not null,
  open numeric,
  high numeric,
  low numeric,
  close numeric,
  volume numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.tradingview_history is
'Daily bars of indices. https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF/';
comment on column raw.tradingview_history.series is 'Symbol with its exchange.';
comment on column raw.tradingview_history.ts is 'The trading day at 00:00 UTC.';
comment on column raw.tradingview_history.open is 'First value of the bar; null where the feed has none.';
comment on column raw.tradingview_history.high is 'Highest value; null where the feed has none.';
comment on column raw.tradingview_history.low is 'Lowest value; null where the feed has none.';
comment on column raw.tradingview_history.close is 'Last value; of an open bar, so far.';
comment on column raw.tradingview_history.volume is 'Traded amount; null where the feed has none.';
comment on column raw.tradingview_history.fetch_id is 'The fetch that brought it.';
comment on column raw.tradingview_history.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.tradingview_history.available_at is
'The earliest instant at which the datafeed could have served this value.';
comment on column raw.tradingview_history.available_basis is 'How available_at is known.';
comment on column raw.tradingview_history.is_provisional is
'Whether the source will still change it by design: an open bar.';
comment on column raw.tradingview_history.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.tradingview_history.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists tradingview_history_xid on raw.tradingview_history (xid);

create table if not exists raw.binance_depth (
  series text not null,
  ts timestamptz not null,
  last_update_id bigint,
  best_bid numeric,
  best_ask numeric,
  bid_depth_2pct numeric,
  ask_depth_2pct numeric,
  bid_reach numeric,
  ask_reach numeric,
  is_truncated boolean,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.binance_depth is
'What lies in the spot order book around its mid. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints';
comment on column raw.binance_depth.series is 'Symbol.';
comment on column raw.binance_depth.ts is
'When the answer arrived, by the store''s clock: it states no instant of its own.';
comment on column raw.binance_depth.last_update_id is 'Binance''s number of the book''s last change.';
comment on column raw.binance_depth.best_bid is 'Highest bid.';
comment on column raw.binance_depth.best_ask is 'Lowest ask.';
comment on column raw.binance_depth.bid_depth_2pct is
'Sum of price times quantity of the bids down to 2 % below the mid, in the quote coin.';
comment on column raw.binance_depth.ask_depth_2pct is
'Sum of price times quantity of the asks up to 2 % above the mid, in the quote coin.';
comment on column raw.binance_depth.bid_reach is 'How far below the mid the answer''s bids go, as a share of the mid.';
comment on column raw.binance_depth.ask_reach is 'How far above the mid the answer''s asks go, as a share of the mid.';
comment on column raw.binance_depth.is_truncated is
'Whether a side ends within 2 % of the mid: there is more than was seen.';
comment on column raw.binance_depth.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_depth.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_depth.available_at is
'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_depth.available_basis is 'How available_at is known.';
comment on column raw.binance_depth.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.binance_depth.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_depth.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_depth_xid on raw.binance_depth (xid);

create table if not exists raw.binance_open_interest (
  series text not null,
  ts timestamptz not null,
  open_interest numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.binance_open_interest is
'Open interest of perpetuals, as of now. https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest';
comment on column raw.binance_open_interest.series is 'Symbol.';
comment on column raw.binance_open_interest.ts is 'The source''s own instant, its time, UTC.';
comment on column raw.binance_open_interest.open_interest is 'Open contracts, in base coins.';
comment on column raw.binance_open_interest.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_open_interest.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_open_interest.available_at is
'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_open_interest.available_basis is 'How available_at is known.';
comment on column raw.binance_open_interest.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.binance_open_interest.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_open_interest.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_open_interest_xid on raw.binance_open_interest (xid);

create table if not exists raw.binance_open_interest_hist (
  series text not null,
  ts timestamptz not null,
  sum_open_interest numeric,
  sum_open_interest_value numeric,
  cmc_circulating_supply numeric,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.binance_open_interest_hist is
'Open interest of perpetuals every five minutes. https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest-Statistics';
comment on column raw.binance_open_interest_hist.series is 'Symbol.';
comment on column raw.binance_open_interest_hist.ts is 'The instant it was measured, its timestamp, UTC.';
comment on column raw.binance_open_interest_hist.sum_open_interest is 'Open contracts, in base coins.';
comment on column raw.binance_open_interest_hist.sum_open_interest_value is 'The same in the quote coin.';
comment on column raw.binance_open_interest_hist.cmc_circulating_supply is
'Circulating supply of the base coin by CoinMarketCap; null where the answer has none.';
comment on column raw.binance_open_interest_hist.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_open_interest_hist.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_open_interest_hist.available_at is
'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_open_interest_hist.available_basis is 'How available_at is known.';
comment on column raw.binance_open_interest_hist.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.binance_open_interest_hist.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_open_interest_hist.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_open_interest_hist_xid on raw.binance_open_interest_hist (xid);

create table if not exists raw.cex_books (
  series text not null,
  ts timestamptz not null,
  depth_2pct_usd numeric,
  bid_depth_2pct_usd numeric,
  ask_depth_2pct_usd numeric,
  venues jsonb,
  answered int,
  asked int,
  is_truncated boolean,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.cex_books is
'Resting spot orders within 2 % of each venue''s mid, summed over the venues. https://docs.ccxt.com/';
comment on column raw.cex_books.series is 'Coin.';
comment on column raw.cex_books.ts is 'When the venues were asked, by the store''s clock.';
comment on column raw.cex_books.depth_2pct_usd is 'Both sides together, in USD, of the venues that answered.';
comment on column raw.cex_books.bid_depth_2pct_usd is 'The bids, in USD.';
comment on column raw.cex_books.ask_depth_2pct_usd is 'The asks, in USD.';
comment on column raw.cex_books.venues is 'What each venue that was asked said or why it said nothing, by venue.';
comment on column raw.cex_books.answered is 'How many venues answered.';
comment on column raw.cex_books.asked is 'How many venues were asked.';
comment on column raw.cex_books.is_truncated is
'Whether the book of a venue ends within 2 % of its mid: there is more than was seen.';
comment on column raw.cex_books.fetch_id is 'The fetch that brought it.';
comment on column raw.cex_books.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.cex_books.available_at is
'The earliest instant at which the venues could have served this value.';
comment on column raw.cex_books.available_basis is 'How available_at is known.';
comment on column raw.cex_books.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.cex_books.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.cex_books.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists cex_books_xid on raw.cex_books (xid);

create table if not exists raw.cex_open_interest (
  series text not null,
  ts timestamptz not null,
  open_interest_usd numeric,
  venues jsonb,
  answered int,
  asked int,
  fetch_id bigint not null,
  fetched_at timestamptz not null,
  available_at timestamptz not null,
  available_basis text not null
  check (available_basis in ('vintage', 'schedule', 'backfilled', 'ingested', 'stated')),
  is_provisional boolean not null default false,
  reading int not null default 0,
  xid xid8 not null default pg_current_xact_id(),
  unique (series, ts, fetch_id, reading)
);
comment on table raw.cex_open_interest is
'Open interest of perpetuals, summed over the venues. https://docs.ccxt.com/';
comment on column raw.cex_open_interest.series is 'Coin.';
comment on column raw.cex_open_interest.ts is 'When the venues were asked, by the store''s clock.';
comment on column raw.cex_open_interest.open_interest_usd is 'Open interest in USD of the venues that answered.';
comment on column raw.cex_open_interest.venues is
'What each venue that was asked said or why it said nothing, by venue.';
comment on column raw.cex_open_interest.answered is 'How many venues answered.';
comment on column raw.cex_open_interest.asked is 'How many venues were asked.';
comment on column raw.cex_open_interest.fetch_id is 'The fetch that brought it.';
comment on column raw.cex_open_interest.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.cex_open_interest.available_at is
'The earliest instant at which the venues could have served this value.';
comment on column raw.cex_open_interest.available_basis is 'How available_at is known.';
comment on column raw.cex_open_interest.is_provisional is 'Whether the source will still change it by design.';
comment on column raw.cex_open_interest.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.cex_open_interest.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists cex_open_interest_xid on raw.cex_open_interest (xid);
