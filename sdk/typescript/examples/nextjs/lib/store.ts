import "server-only";
import { FeatureStore } from "feature-store-client";

let client: FeatureStore | undefined;

/** The store of FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY: on the server alone. A page does not wait for minutes. */
export function store(): FeatureStore {
  client ??= new FeatureStore({ timeoutMs: 15_000, attempts: 2 });
  return client;
}
