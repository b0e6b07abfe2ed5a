/** What a caller gives, as the wire has it; what cannot be right is refused before it is sent. */

import type { z } from "zod";
import { type Bound, BoundSchema, type Instant, InstantSchema, type Mistake } from "./contracts.js";
import { InvalidRequest } from "./errors.js";

/** What is given, by its schema; throws InvalidRequest, which names each mistake by its place. */
export function checked<Wire>(schema: z.ZodType<Wire>, where: string, given: unknown): Wire {
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new InvalidRequest(parsed.error.issues.map((issue) => mistake(where, issue)));
  }
  return parsed.data;
}

/** An instant as the wire has it; throws InvalidRequest for one without a zone. */
export function instant(where: string, given: Instant | undefined): string | undefined {
  return given === undefined ? undefined : checked(InstantSchema, where, given);
}

/** The end of a range as the wire has it: an instant, or a day, which is its midnight in UTC. */
export function bound(where: string, given: Bound | undefined): string | undefined {
  return given === undefined ? undefined : checked(BoundSchema, where, given);
}

/** The features, each once; throws InvalidRequest for none. */
export function idsOf(featureIds: string | readonly string[]): readonly string[] {
  const ids = typeof featureIds === "string" ? [featureIds] : [...new Set(featureIds)];
  if (ids.length === 0 || ids.includes("")) {
    throw refused("featureIds", "names no feature: getCatalog() lists them");
  }
  return ids;
}

/** One mistake. */
export function refused(where: string, problem: string): InvalidRequest {
  return new InvalidRequest([{ where, problem }]);
}

function mistake(where: string, issue: z.core.$ZodIssue): Mistake {
  const place = issue.path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("");
  const inner = meant(issue);
  return inner ? mistake(`${where}${place}`, inner) : { where: `${where}${place}`, problem: issue.message };
}

/** Of alternatives the one that fits best: its mistake lies deepest. The first one where they are alike. */
function meant(issue: z.core.$ZodIssue): z.core.$ZodIssue | undefined {
  const found = issue.code === "invalid_union" ? issue.errors.flat() : [];
  return found.reduce<z.core.$ZodIssue | undefined>(
    (best, each) => (best && best.path.length >= each.path.length ? best : each),
    undefined,
  );
}
