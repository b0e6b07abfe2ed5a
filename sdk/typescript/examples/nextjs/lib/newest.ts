import type { FeaturePoint, FeatureSpec } from "feature-store-client";
import { store } from "./store";

/** A feature and its newest point, where it has one. */
export interface Newest {
  spec: FeatureSpec;
  point: FeaturePoint | undefined;
}

/** Every feature with its newest point, by the first word of its id, in the catalog's order. */
export async function newestByGroup(): Promise<ReadonlyMap<string, Newest[]>> {
  const [specs, points] = await Promise.all([store().getCatalog(), store().getLatestFeaturePoints()]);
  const newest = new Map(points.map((point) => [point.featureId, point]));
  const groups = new Map<string, Newest[]>();
  for (const spec of specs) {
    const group = spec.id.split("/", 1)[0] ?? spec.id;
    groups.set(group, [...(groups.get(group) ?? []), { spec, point: newest.get(spec.id) }]);
  }
  return groups;
}
