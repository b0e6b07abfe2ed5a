{# Made from the catalog by `feature-store catalog dbt --write`. #}
{% macro points_models() -%}
  {{ return([
    'points_fred__observations',
    'points_farside__btc',
    'points_farside__eth',
    'points_defillama__stablecoincharts',
    'points_defillama__protocols',
    'points_defillama__historical_chain_tvl',
    'points_binance__klines_1m',
    'points_binance__klines_1h',
    'points_binance__funding_rate',
    'points_binance__ticker_24h',
    'points_binance__depth',
    'points_binance__open_interest',
    'points_binance__open_interest_hist',
    'points_blockchain__hash_rate',
    'points_blockchain__total_bitcoins',
    'points_blockchain__market_price',
    'points_etherscan__gasoracle',
    'points_tradingview__history',
    'points_cex__books',
    'points_cex__open_interest',
    'points_published__points',
  ]) }}
{%- endmacro %}

{% macro derived_models() -%}
  {{ return([
    'seasonal_factors',
    'derived_net_liquidity',
    'derived_year_on_year',
  ]) }}
{%- endmacro %}

{% macro panel_features() -%}
  {{ return([
    {'id': 'macro/us/walcl_total_usd', 'column': 'macro_us_walcl_total_usd'},
    {'id': 'macro/us/tga_balance_usd', 'column': 'macro_us_tga_balance_usd'},
    {'id': 'macro/us/tga_balance_usd_sa', 'column': 'macro_us_tga_balance_usd_sa'},
    {'id': 'macro/us/rrp_total_usd', 'column': 'macro_us_rrp_total_usd'},
    {'id': 'macro/us/net_liquidity_usd', 'column': 'macro_us_net_liquidity_usd'},
    {'id': 'crypto/etf/btc_net_flow_usd', 'column': 'crypto_etf_btc_net_flow_usd'},
    {'id': 'crypto/etf/eth_net_flow_usd', 'column': 'crypto_etf_eth_net_flow_usd'},
    {'id': 'crypto/stables/mcap_total_usd', 'column': 'crypto_stables_mcap_total_usd'},
    {'id': 'crypto/stables/mcap_total_usd_yoy', 'column': 'crypto_stables_mcap_total_usd_yoy'},
    {'id': 'crypto/btc/price_usd', 'column': 'crypto_btc_price_usd'},
    {'id': 'crypto/eth/price_usd', 'column': 'crypto_eth_price_usd'},
    {'id': 'cex/agg/spot_depth_2pct_usd', 'column': 'cex_agg_spot_depth_2pct_usd'},
    {'id': 'cex/agg/perp_oi_usd', 'column': 'cex_agg_perp_oi_usd'},
    {'id': 'dex/agg/active_liquidity_usd', 'column': 'dex_agg_active_liquidity_usd'},
    {'id': 'cex/binance/btcusdt_volume_usd', 'column': 'cex_binance_btcusdt_volume_usd'},
    {'id': 'cex/binance/btcusdt_volume_usd_sa', 'column': 'cex_binance_btcusdt_volume_usd_sa'},
    {'id': 'cex/binance/btcusdt_funding_rate', 'column': 'cex_binance_btcusdt_funding_rate'},
    {'id': 'onchain/btc/hashrate_ths', 'column': 'onchain_btc_hashrate_ths'},
    {'id': 'onchain/btc/supply_btc', 'column': 'onchain_btc_supply_btc'},
    {'id': 'onchain/eth/gas_price_gwei', 'column': 'onchain_eth_gas_price_gwei'},
    {'id': 'onchain/eth/gas_price_gwei_sa', 'column': 'onchain_eth_gas_price_gwei_sa'},
    {'id': 'onchain/eth/tvl_usd', 'column': 'onchain_eth_tvl_usd'},
    {'id': 'macro/us/dxy_index', 'column': 'macro_us_dxy_index'},
    {'id': 'macro/us/spx_index', 'column': 'macro_us_spx_index'},
    {'id': 'macro/us/vix_index', 'column': 'macro_us_vix_index'},
  ]) }}
{%- endmacro %}
