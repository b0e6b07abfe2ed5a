/** The verbs as functions, over one client that FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY describe. */

import { FeatureStore } from "./client.js";

let store: FeatureStore | undefined;

/** Made when it is first needed: importing this package asks for no address or key. */
function defaultStore(): FeatureStore {
  store ??= new FeatureStore();
  return store;
}

/** {@link FeatureStore.getCatalog} */
export const getCatalog: FeatureStore["getCatalog"] = async (query) => defaultStore().getCatalog(query);

/** {@link FeatureStore.getFeatureSpec} */
export const getFeatureSpec: FeatureStore["getFeatureSpec"] = async (featureId, options) =>
  defaultStore().getFeatureSpec(featureId, options);

/** {@link FeatureStore.getLatestFeaturePoint} */
export const getLatestFeaturePoint: FeatureStore["getLatestFeaturePoint"] = async (featureId, options) =>
  defaultStore().getLatestFeaturePoint(featureId, options);

/** {@link FeatureStore.getLatestFeaturePoints} */
export const getLatestFeaturePoints: FeatureStore["getLatestFeaturePoints"] = async (featureIds, options) =>
  defaultStore().getLatestFeaturePoints(featureIds, options);

/** {@link FeatureStore.queryFeaturePoints} */
export const queryFeaturePoints: FeatureStore["queryFeaturePoints"] = async (query) =>
  defaultStore().queryFeaturePoints(query);

/** {@link FeatureStore.iterateFeaturePoints} */
export const iterateFeaturePoints: FeatureStore["iterateFeaturePoints"] = (query) =>
  defaultStore().iterateFeaturePoints(query);

/** {@link FeatureStore.historical} */
export const historical: FeatureStore["historical"] = async (spine, featureIds, options) =>
  defaultStore().historical(spine, featureIds, options);

/** {@link FeatureStore.revisions} */
export const revisions: FeatureStore["revisions"] = async (featureId, query) =>
  defaultStore().revisions(featureId, query);

/** {@link FeatureStore.explain} */
export const explain: FeatureStore["explain"] = async (featureId, ts, options) =>
  defaultStore().explain(featureId, ts, options);

/** {@link FeatureStore.writeFeaturePoints} */
export const writeFeaturePoints: FeatureStore["writeFeaturePoints"] = async (points, options) =>
  defaultStore().writeFeaturePoints(points, options);
