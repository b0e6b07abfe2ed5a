import type { FeatureSpec } from "feature-store-client";
import { dayOf } from "./format";
import { store } from "./store";

const DAY_MS = 86_400_000;
const BEFORE_MS = 730 * DAY_MS;
const AFTER_MS = 180 * DAY_MS;

/** What the form asks. */
export interface Asked {
  feature: string;
  /** The day at whose end, UTC, something was known; half a year before the newest point where absent. */
  known: string | undefined;
  /** Whether backfilled values count as known from their release on, and not only from when the store loaded them. */
  withBackfilled: boolean;
}

/** An instant of the series, as its value was known then and as it is known now; null where it was not. */
export interface Row {
  ts: string;
  knownThen: number | null;
  knownNow: number | null;
}

/** A series, twice. */
export interface History {
  spec: FeatureSpec;
  known: string;
  rows: Row[];
  /** 0 to 1: what share of the values that are known now was backfilled. */
  backfilledShare: number;
}

/** The two years before the chosen day and the half year after it, as known then and as known now. */
export async function historyOf({ feature, known, withBackfilled }: Asked): Promise<History> {
  const [spec, day] = await Promise.all([store().getFeatureSpec(feature), known ?? usualDay(feature)]);
  const range = {
    featureIds: feature,
    since: new Date(Date.parse(day) - BEFORE_MS),
    until: new Date(Date.parse(day) + AFTER_MS),
  };
  const [now, then] = await Promise.all([
    store().queryFeaturePoints(range),
    store().queryFeaturePoints({ ...range, asOf: `${day}T23:59:59Z`, strict: !withBackfilled }),
  ]);
  const rows = new Map<string, Row>();
  for (const { ts, value } of now) {
    rows.set(ts, { ts, knownThen: null, knownNow: value });
  }
  for (const { ts, value } of then) {
    rows.set(ts, { ts, knownThen: value, knownNow: rows.get(ts)?.knownNow ?? null });
  }
  const inOrder = [...rows.values()].sort((one, other) => Date.parse(one.ts) - Date.parse(other.ts));
  return { spec, known: day, rows: inOrder, backfilledShare: now.backfilledShare };
}

/** The features of which a chart of years makes sense: those of one value a day or fewer. */
export async function dailyFeatures(): Promise<FeatureSpec[]> {
  return (await store().getCatalog()).filter((spec) => spec.frequency === "1d");
}

async function usualDay(feature: string): Promise<string> {
  const { ts } = await store().getLatestFeaturePoint(feature);
  return dayOf(new Date(Date.parse(ts) - AFTER_MS));
}
