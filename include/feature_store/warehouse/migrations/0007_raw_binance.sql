-- Binance's streams, and readings: what an answer says when it is read again by a better parser.

-- Without a foreign key to raw.fetches, which would be looked up once a row: landing takes fetch_id from there.
create table if not exists raw.binance_klines_1m (
  series text not null,
  ts timestamptz not null,
  open numeric,
  high numeric,
  low numeric,
  close numeric,
  volume numeric,
  close_time timestamptz,
  quote_volume numeric,
  trades bigint,
  taker_base_volume numeric,
  taker_quote_volume numeric,
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
comment on table raw.binance_klines_1m is
'One-minute spot candles. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints';
comment on column raw.binance_klines_1m.series is 'Symbol.';
comment on column raw.binance_klines_1m.ts is 'Open time of the candle, UTC.';
comment on column raw.binance_klines_1m.open is 'First price of the candle.';
comment on column raw.binance_klines_1m.high is 'Highest price.';
comment on column raw.binance_klines_1m.low is 'Lowest price.';
comment on column raw.binance_klines_1m.close is 'Last price; of an open candle, so far.';
comment on column raw.binance_klines_1m.volume is 'Traded amount in the base coin.';
comment on column raw.binance_klines_1m.close_time is 'Last millisecond of the candle, as Binance states it, UTC.';
comment on column raw.binance_klines_1m.quote_volume is 'Traded amount in the quote coin.';
comment on column raw.binance_klines_1m.trades is 'Number of trades.';
comment on column raw.binance_klines_1m.taker_base_volume is 'The part of volume that takers bought.';
comment on column raw.binance_klines_1m.taker_quote_volume is 'The part of quote_volume that takers bought.';
comment on column raw.binance_klines_1m.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_klines_1m.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_klines_1m.available_at is 'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_klines_1m.available_basis is 'How available_at is known.';
comment on column raw.binance_klines_1m.is_provisional is 'Whether the source will still change it by design: an open candle.';
comment on column raw.binance_klines_1m.reading is 'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_klines_1m.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_klines_1m_xid on raw.binance_klines_1m (xid);

create table if not exists raw.binance_klines_1h (
  series text not null,
  ts timestamptz not null,
  open numeric,
  high numeric,
  low numeric,
  close numeric,
  volume numeric,
  close_time timestamptz,
  quote_volume numeric,
  trades bigint,
  taker_base_volume numeric,
  taker_quote_volume numeric,
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
comment on table raw.binance_klines_1h is
'One-hour spot candles. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints';
comment on column raw.binance_klines_1h.series is 'Symbol.';
comment on column raw.binance_klines_1h.ts is 'Open time of the candle, UTC.';
comment on column raw.binance_klines_1h.open is 'First price of the candle.';
comment on column raw.binance_klines_1h.high is 'Highest price.';
comment on column raw.binance_klines_1h.low is 'Lowest price.';
comment on column raw.binance_klines_1h.close is 'Last price; of an open candle, so far.';
comment on column raw.binance_klines_1h.volume is 'Traded amount in the base coin.';
comment on column raw.binance_klines_1h.close_time is 'Last millisecond of the candle, as Binance states it, UTC.';
comment on column raw.binance_klines_1h.quote_volume is 'Traded amount in the quote coin.';
comment on column raw.binance_klines_1h.trades is 'Number of trades.';
comment on column raw.binance_klines_1h.taker_base_volume is 'The part of volume that takers bought.';
comment on column raw.binance_klines_1h.taker_quote_volume is 'The part of quote_volume that takers bought.';
comment on column raw.binance_klines_1h.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_klines_1h.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_klines_1h.available_at is 'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_klines_1h.available_basis is 'How available_at is known.';
comment on column raw.binance_klines_1h.is_provisional is 'Whether the source will still change it by design: an open candle.';
comment on column raw.binance_klines_1h.reading is 'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_klines_1h.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_klines_1h_xid on raw.binance_klines_1h (xid);

create table if not exists raw.binance_funding_rate (
  series text not null,
  ts timestamptz not null,
  funding_time timestamptz,
  funding_rate numeric,
  mark_price numeric,
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
comment on table raw.binance_funding_rate is
'Settled funding rates of perpetuals. https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-History';
comment on column raw.binance_funding_rate.series is 'Symbol.';
comment on column raw.binance_funding_rate.ts is 'The settlement''s slot: funding_time rounded to the second, UTC.';
comment on column raw.binance_funding_rate.funding_time is 'The settlement''s own time, up to 47 ms after the slot, UTC.';
comment on column raw.binance_funding_rate.funding_rate is 'Rate of the interval, as a fraction.';
comment on column raw.binance_funding_rate.mark_price is 'Mark price at settlement; null where Binance gives none, as on old rows.';
comment on column raw.binance_funding_rate.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_funding_rate.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_funding_rate.available_at is 'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_funding_rate.available_basis is 'How available_at is known.';
comment on column raw.binance_funding_rate.is_provisional is 'Whether the source will still change it by design: an open candle.';
comment on column raw.binance_funding_rate.reading is 'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_funding_rate.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_funding_rate_xid on raw.binance_funding_rate (xid);

create table if not exists raw.binance_ticker_24h (
  series text not null,
  ts timestamptz not null,
  price_change numeric,
  price_change_percent numeric,
  weighted_avg_price numeric,
  prev_close_price numeric,
  last_price numeric,
  last_qty numeric,
  bid_price numeric,
  bid_qty numeric,
  ask_price numeric,
  ask_qty numeric,
  open_price numeric,
  high_price numeric,
  low_price numeric,
  volume numeric,
  quote_volume numeric,
  open_time timestamptz,
  first_id bigint,
  last_id bigint,
  count bigint,
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
comment on table raw.binance_ticker_24h is
'Statistics of the rolling 24 hours before ts. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints';
comment on column raw.binance_ticker_24h.series is 'Symbol.';
comment on column raw.binance_ticker_24h.ts is 'The source''s own instant, its closeTime, UTC.';
comment on column raw.binance_ticker_24h.price_change is 'last_price minus open_price.';
comment on column raw.binance_ticker_24h.price_change_percent is 'The same in per cent.';
comment on column raw.binance_ticker_24h.weighted_avg_price is 'quote_volume over volume.';
comment on column raw.binance_ticker_24h.prev_close_price is 'Last price before the window.';
comment on column raw.binance_ticker_24h.last_price is 'Last price.';
comment on column raw.binance_ticker_24h.last_qty is 'Amount of the last trade, in the base coin.';
comment on column raw.binance_ticker_24h.bid_price is 'Best bid.';
comment on column raw.binance_ticker_24h.bid_qty is 'Amount at the best bid, in the base coin.';
comment on column raw.binance_ticker_24h.ask_price is 'Best ask.';
comment on column raw.binance_ticker_24h.ask_qty is 'Amount at the best ask, in the base coin.';
comment on column raw.binance_ticker_24h.open_price is 'First price of the window.';
comment on column raw.binance_ticker_24h.high_price is 'Highest price of the window.';
comment on column raw.binance_ticker_24h.low_price is 'Lowest price of the window.';
comment on column raw.binance_ticker_24h.volume is 'Traded amount in the base coin.';
comment on column raw.binance_ticker_24h.quote_volume is 'Traded amount in the quote coin.';
comment on column raw.binance_ticker_24h.open_time is 'Start of the window, UTC.';
comment on column raw.binance_ticker_24h.first_id is 'First trade of the window; -1 without one.';
comment on column raw.binance_ticker_24h.last_id is 'Last trade of the window; -1 without one.';
comment on column raw.binance_ticker_24h.count is 'Number of trades.';
comment on column raw.binance_ticker_24h.fetch_id is 'The fetch that brought it.';
comment on column raw.binance_ticker_24h.fetched_at is 'When the answer arrived, by the store''s clock.';
comment on column raw.binance_ticker_24h.available_at is 'The earliest instant at which Binance could have served this value.';
comment on column raw.binance_ticker_24h.available_basis is 'How available_at is known.';
comment on column raw.binance_ticker_24h.is_provisional is 'Whether the source will still change it by design: an open candle.';
comment on column raw.binance_ticker_24h.reading is 'How many earlier readings of the same answer said something else: errors of our own, corrected.';
comment on column raw.binance_ticker_24h.xid is 'Transaction that added the row: consumers read by it.';
create index if not exists binance_ticker_24h_xid on raw.binance_ticker_24h (xid);

alter table raw.fetches add column if not exists series text;
comment on column raw.fetches.series is 'Series that was asked for.';
create index if not exists fetches_series on raw.fetches (source, stream, series, fetched_at);
update raw.fetches set series = params ->> 'series_id'
where series is null and params ? 'series_id';

alter table raw.fred_observations add column if not exists reading int not null default 0;
comment on column raw.fred_observations.reading is
'How many earlier readings of the same answer said something else: errors of our own, corrected.';
create unique index if not exists fred_observations_reading
on raw.fred_observations (series, ts, vintage_date, fetch_id, reading) nulls not distinct;
alter table raw.fred_observations drop constraint if exists fred_observations_series_ts_vintage_date_fetch_id_key;

create table if not exists ops.window_progress (
  source text not null,
  stream text not null,
  series text not null,
  since timestamptz not null,
  until timestamptz not null,
  done_until timestamptz not null,
  primary key (source, stream, series, since, until)
);
comment on table ops.window_progress is
'Windows of history that are being loaded chunk by chunk: a killed load goes on where its last whole chunk ended. The row goes when the window is whole.';
comment on column ops.window_progress.source is 'Slug of the source.';
comment on column ops.window_progress.stream is 'Stream of the source.';
comment on column ops.window_progress.series is 'Series of the stream.';
comment on column ops.window_progress.since is 'Start of the window, UTC.';
comment on column ops.window_progress.until is 'End of the window, UTC.';
comment on column ops.window_progress.done_until is 'Everything of the window before this instant is in the raw table.';
