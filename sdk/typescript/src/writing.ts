/** Writing points, so that an attempt that is repeated never writes them twice. */

import { randomUUID } from "node:crypto";
import { z } from "zod";
import { checked } from "./asking.js";
import type { CallOptions, Connection } from "./connection.js";
import { type NewPoint, NewPointSchema, type WriteResult, WriteResultSchema } from "./contracts.js";

/** How points are written. */
export interface WriteOptions extends CallOptions {
  /** "all", the default, writes nothing when one point fails; "each" writes those that pass. */
  mode?: "all" | "each" | undefined;
  /** Made for each call where absent. Give one of your own to go on after your program was ended in between. */
  idempotencyKey?: string | undefined;
}

/** How many points a request carries. */
const MOST_POINTS = 10_000;

const NewPointsSchema = z.array(NewPointSchema);
type WirePoint = z.infer<typeof NewPointSchema>;

/** "all" takes 10,000 points at most; "each" sends more in parts, each under a key of its own. */
export async function written(
  connection: Connection,
  points: readonly NewPoint[],
  { mode = "all", idempotencyKey = randomUUID(), signal }: WriteOptions,
): Promise<WriteResult> {
  const parts = partsOf(checked(NewPointsSchema, "points", points), mode);
  const results: WriteResult[] = [];
  for (const [number, part] of parts.entries()) {
    const key = parts.length === 1 ? idempotencyKey : `${idempotencyKey}:${number}`;
    const { body, headers } = await connection.ask(WriteResultSchema, {
      method: "POST",
      path: "/v1/publish",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: { points: part, mode },
      signal,
    });
    const errors = body.errors.map((error) => ({ ...error, index: error.index + number * MOST_POINTS }));
    results.push({ ...body, errors, replayed: headers.get("idempotent-replayed") === "true" });
  }
  return results.reduce(together);
}

function partsOf(points: readonly WirePoint[], mode: "all" | "each"): readonly (readonly WirePoint[])[] {
  if (mode === "all" || points.length <= MOST_POINTS) {
    return [points];
  }
  return Array.from({ length: Math.ceil(points.length / MOST_POINTS) }, (_, number) =>
    points.slice(number * MOST_POINTS, (number + 1) * MOST_POINTS),
  );
}

function together(one: WriteResult, other: WriteResult): WriteResult {
  return {
    inserted: one.inserted + other.inserted,
    duplicate: one.duplicate + other.duplicate,
    failed: one.failed + other.failed,
    errors: [...one.errors, ...other.errors],
    replayed: one.replayed || other.replayed,
  };
}
