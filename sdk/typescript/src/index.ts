/**
 * Client of the feature store: financial features as they were known at any instant.
 *
 * ```ts
 * import { FeatureStore } from "feature-store-client";
 *
 * const store = new FeatureStore();
 * await store.getLatestFeaturePoint("crypto/btc/price_usd");
 * ```
 *
 * @packageDocumentation
 */

export { type CatalogQuery, type ExplainOptions, FeatureStore, type RevisionsQuery } from "./client.js";
export type { Options } from "./configuration.js";
export type { CallOptions } from "./connection.js";
export * from "./contracts.js";
export * from "./default.js";
export * from "./errors.js";
export type { JoinedRows, JoinOptions, SpineRow } from "./joining.js";
export type * as openapi from "./openapi.js";
export type { PointOf, Points, Query, Vintage } from "./reading.js";
export type { WriteOptions } from "./writing.js";
