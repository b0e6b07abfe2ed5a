/** Points of a range: page after page. */

import { z } from "zod";
import { bound, idsOf, instant, refused } from "./asking.js";
import type { Answer, CallOptions, Connection, Parameters } from "./connection.js";
import {
  type Bound,
  type FeaturePoint,
  FeaturePointSchema,
  type Instant,
  type PointVersion,
  PointVersionSchema,
  QueryAnswerSchema,
} from "./contracts.js";
import { UnexpectedAnswer } from "./errors.js";

/** Of each ts the newest version, the first, or all of them, withdrawals included. */
export type Vintage = "latest" | "first" | "all";

/** What points are told as: with all vintages, a withdrawn one has the value null. */
export type PointOf<V extends Vintage> = V extends "all" ? PointVersion : FeaturePoint;

/** Which points, in which state. Instants name a zone: a `Date`, or ISO 8601 with one. */
export interface Query<V extends Vintage = Vintage> extends CallOptions {
  /** One feature or several; points come by feature in this order, then by ts. */
  featureIds: string | readonly string[];
  /** From this ts on. */
  since?: Bound | undefined;
  /** Before this ts. */
  until?: Bound | undefined;
  /** As they were known at that instant; as they are known now where absent. */
  asOf?: Instant | undefined;
  /** As the store held them at that instant, whatever it has learnt since. */
  asStored?: Instant | undefined;
  /** Whether a backfilled value counts as known only from when the store ingested it; true where absent. */
  strict?: boolean | undefined;
  vintage?: V | undefined;
  /** How many points come at most; all where absent. */
  limit?: number | undefined;
}

/** Points in the order asked, and what is true of all of them. */
export type Points<Point> = readonly Point[] & {
  /** 0 to 1: what share of them was backfilled: loaded long after they were published, and maybe rewritten since. */
  readonly backfilledShare: number;
  /** Features without a point. */
  readonly missing: readonly string[];
};

/** 10,000 points are about 4 MB of JSON, and come in a second. */
const PAGE = 10_000;

/** Every point, page by page: no more than a page is in memory, however long the range. */
export async function* pagesOf<V extends Vintage>(
  connection: Connection,
  query: Query<V>,
): AsyncGenerator<readonly PointOf<V>[], void, undefined> {
  const { limit = Number.POSITIVE_INFINITY, signal } = query;
  const parameters = parametersOf(query);
  const schema = answerOf(query.vintage);
  let cursor: string | null = null;
  let count = 0;
  do {
    const page: Parameters = { ...parameters, limit: Math.min(PAGE, limit - count), cursor: cursor ?? undefined };
    const { body }: Answer<Page> = await connection.ask(schema, {
      method: "GET",
      path: "/v1/query",
      parameters: page,
      signal,
    });
    if (body.nextCursor !== null && (body.nextCursor === cursor || body.points.length === 0)) {
      throw new UnexpectedAnswer("a page leads on to itself");
    }
    yield body.points as readonly PointOf<V>[];
    cursor = body.nextCursor;
    count += body.points.length;
  } while (cursor !== null && count < limit);
}

/** All pages together. */
export async function allOf<V extends Vintage>(connection: Connection, query: Query<V>): Promise<Points<PointOf<V>>> {
  const points: PointOf<V>[] = [];
  for await (const page of pagesOf(connection, query)) {
    // One by one, for a call takes only so many arguments.
    for (const point of page) {
      points.push(point);
    }
  }
  const found = new Set(points.map((point) => point.featureId));
  const isCut = points.length === query.limit;
  return pointsOf(points, isCut ? [] : idsOf(query.featureIds).filter((id) => !found.has(id)));
}

/** Points, with what is true of all of them. */
export function pointsOf<Point extends PointVersion>(points: Point[], missing: readonly string[]): Points<Point> {
  const backfilled = points.filter((point) => point.availableBasis === "backfilled").length;
  return Object.assign(points, { backfilledShare: points.length ? backfilled / points.length : 0, missing });
}

function parametersOf({ featureIds, since, until, asOf, asStored, strict, vintage, limit }: Query) {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw refused("limit", "is no whole number of one or more: leave it out for all points");
  }
  return {
    featureIds: idsOf(featureIds),
    since: bound("since", since),
    until: bound("until", until),
    asOf: instant("asOf", asOf),
    asStored: instant("asStored", asStored),
    strict,
    vintage,
  };
}

type Page = z.infer<typeof QueryAnswerSchema>;

function answerOf(vintage: Vintage | undefined): z.ZodType<Page> {
  const point: z.ZodType<PointVersion> = vintage === "all" ? PointVersionSchema : FeaturePointSchema;
  return QueryAnswerSchema.extend({ points: z.array(point) });
}
