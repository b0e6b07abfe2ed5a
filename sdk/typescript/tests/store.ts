/** The store that pytest serves (tests/sdk_typescript/conftest.py), and what is in it (tests/api/served.py). */

import { FeatureStore } from "../src/index.js";

export const PRICE = "crypto/btc/price_usd";
export const GAS = "onchain/eth/gas_price_gwei";
export const VIX = "macro/us/vix_index";
export const LIQUIDITY = "macro/us/net_liquidity_usd";
export const FLOW = "crypto/etf/btc_net_flow_usd";

/** A feature of 25,000 minutes from the first of April 2024 on: more than two pages. */
export const LONG = "crypto/eth/price_usd";
export const COUNT = 25_000;

/** The store's now, at which everything was ingested. */
export const NOW = "2024-06-03T12:00:00Z";

/** Where things are; empty where no store is served, and then the tests are skipped. */
export const URL_OF_STORE = process.env.FEATURE_STORE_API_URL ?? "";
export const KEY = process.env.FEATURE_STORE_API_KEY ?? "";
export const PUBLISH_KEY = process.env.FEATURE_STORE_TEST_PUBLISH_KEY ?? "";
const FLAKY_URL = process.env.FEATURE_STORE_TEST_FLAKY_URL ?? "";
const CONTROL_URL = process.env.FEATURE_STORE_TEST_CONTROL_URL ?? "";

/** A client of the served store. */
export function served(apiKey: string = KEY): FeatureStore {
  return new FeatureStore({ url: URL_OF_STORE, apiKey });
}

/** A client of the server that spoils the next answers by `faults` (tests/sdk/flaky.py); it forgets what it saw. */
export async function spoilt(faults: string[], apiKey: string = KEY): Promise<FeatureStore> {
  await fetch(CONTROL_URL, { method: "POST", body: JSON.stringify(faults) });
  return new FeatureStore({ url: FLAKY_URL, apiKey, attempts: 3 });
}

/** The headers of each request that came to the spoiling server. */
export async function seen(): Promise<Record<string, string>[]> {
  return (await fetch(CONTROL_URL)).json() as Promise<Record<string, string>[]>;
}

/** What a promise is rejected with. */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
