/** The point-in-time join: a spine goes out in parts, and comes back with a value for each feature. */

import { z } from "zod";
import { checked, idsOf, instant } from "./asking.js";
import type { CallOptions, Connection } from "./connection.js";
import { HistoricalAnswerSchema, type Instant, InstantSchema, type JoinedRow } from "./contracts.js";

/** An instant to look at, and what was known at another one where `asOf` names it. */
export interface SpineRow {
  at: Instant;
  asOf?: Instant | undefined;
}

/** How a spine is joined. */
export interface JoinOptions extends CallOptions {
  /** Leaves out what was older at `at`, closed time apart: an ISO 8601 duration such as P10D, or one by feature. */
  maxAge?: string | Readonly<Record<string, string>> | undefined;
  /** What the store held at that instant. Give it where a spine beyond 50,000 rows must be of one state. */
  asStored?: Instant | undefined;
  /** Whether a backfilled value counts as known only from when the store ingested it; true where absent. */
  strict?: boolean | undefined;
  /** Whether each value comes with the point that it is of. */
  detail?: boolean | undefined;
}

/** The spine, joined, and what share of each feature's values was backfilled (0 to 1). */
export type JoinedRows = readonly JoinedRow[] & { readonly backfilledShare: Readonly<Record<string, number>> };

/** How many rows of a spine a request carries. */
const PART = 50_000;

const SpineSchema = z.array(
  z.union([
    InstantSchema.transform((at) => ({ at })),
    z.strictObject({ at: InstantSchema, asOf: InstantSchema.optional() }),
  ]),
);

/** Each row of the spine with the values that were known. */
export async function joined(
  connection: Connection,
  spine: readonly (Instant | SpineRow)[],
  featureIds: string | readonly string[],
  { maxAge, asStored, strict, detail, signal }: JoinOptions,
): Promise<JoinedRows> {
  const rows = checked(SpineSchema, "spine", spine);
  const asked = { featureIds: idsOf(featureIds), asStored: instant("asStored", asStored), maxAge, strict, detail };
  const parts: Part[] = [];
  for (let start = 0; start === 0 || start < rows.length; start += PART) {
    const { body } = await connection.ask(HistoricalAnswerSchema, {
      method: "POST",
      path: "/v1/historical",
      headers: { "content-type": "application/json" },
      body: { ...asked, spine: rows.slice(start, start + PART) },
      signal,
    });
    parts.push(body);
  }
  return Object.assign(
    parts.flatMap((part) => part.rows),
    { backfilledShare: sharesOf(asked.featureIds, parts) },
  );
}

type Part = z.infer<typeof HistoricalAnswerSchema>;

/** Of all parts together: each counts by how many values it has. */
function sharesOf(featureIds: readonly string[], parts: readonly Part[]): Record<string, number> {
  return Object.fromEntries(featureIds.map((id) => [id, shareOf(id, parts)]));
}

function shareOf(id: string, parts: readonly Part[]): number {
  let values = 0;
  let backfilled = 0;
  for (const part of parts) {
    const count = part.rows.filter((row) => row.values[id] != null).length;
    values += count;
    backfilled += count * (part.backfilledShare[id] ?? 0);
  }
  return values ? backfilled / values : 0;
}
