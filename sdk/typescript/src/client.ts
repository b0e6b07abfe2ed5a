/** The client: each verb of the store is a method. */

import { bound, idsOf, instant } from "./asking.js";
import { configurationOf, type Options } from "./configuration.js";
import { type CallOptions, Connection } from "./connection.js";
import {
  type Bound,
  CatalogAnswerSchema,
  type Explanation,
  ExplanationSchema,
  type FeaturePoint,
  type FeatureSpec,
  FeatureSpecSchema,
  type Instant,
  LatestAnswerSchema,
  type NewPoint,
  RevisionsAnswerSchema,
  type Version,
  type WriteResult,
} from "./contracts.js";
import { NoPointYet } from "./errors.js";
import { type JoinedRows, type JoinOptions, joined, type SpineRow } from "./joining.js";
import { allOf, type PointOf, type Points, pagesOf, pointsOf, type Query, type Vintage } from "./reading.js";
import { type WriteOptions, written } from "./writing.js";

/** Which features of the catalog: those that fit all that is asked. */
export interface CatalogQuery extends CallOptions {
  /** Text in id, description or tags, in any case. */
  search?: string | undefined;
  tag?: string | undefined;
  entity?: FeatureSpec["entity"] | undefined;
  /** A source's id or short name, for example fred. */
  source?: string | undefined;
}

/** The point at `ts`, or the points with since <= ts < until. */
export interface RevisionsQuery extends CallOptions {
  ts?: Instant | undefined;
  since?: Bound | undefined;
  until?: Bound | undefined;
}

/** The state in which a value is explained. */
export interface ExplainOptions extends CallOptions {
  /** As it was known at that instant. */
  asOf?: Instant | undefined;
  /** What the store held at that instant. */
  asStored?: Instant | undefined;
  /** Whether a backfilled value counts as known only from when the store ingested it; true where absent. */
  strict?: boolean | undefined;
}

/**
 * The store, over its REST API; throws ConfigurationError where no address or key is given.
 *
 * For servers: the key must not get into a browser. Every verb throws a ProblemError where the store answers with a
 * problem, ConnectionFailed where no answer came after all attempts, UnexpectedAnswer where something else answered, and
 * InvalidRequest before anything is sent.
 */
export class FeatureStore {
  readonly #connection: Connection;

  constructor(options: Options = {}) {
    this.#connection = new Connection(configurationOf(options));
  }

  /** The features that fit all that is asked, in the catalog's order; all of them where nothing is. */
  async getCatalog({ search, tag, entity, source, signal }: CatalogQuery = {}): Promise<FeatureSpec[]> {
    const parameters = { search, tag, entity, source };
    const asked = { method: "GET", path: "/v1/catalog", parameters, signal } as const;
    return (await this.#connection.ask(CatalogAnswerSchema, asked)).body.features;
  }

  /** The catalog's entry of a feature; throws the problem unknown-feature. */
  async getFeatureSpec(featureId: string, { signal }: CallOptions = {}): Promise<FeatureSpec> {
    const [id = ""] = idsOf(featureId);
    const path = `/v1/catalog/${id.split("/").map(encodeURIComponent).join("/")}`;
    return (await this.#connection.ask(FeatureSpecSchema, { method: "GET", path, signal })).body;
  }

  /** The newest point of a feature; throws the problem unknown-feature, and NoPointYet where there is none. */
  async getLatestFeaturePoint(featureId: string, options: CallOptions = {}): Promise<FeaturePoint> {
    const [point] = await this.getLatestFeaturePoints([featureId], options);
    if (point === undefined) {
      throw new NoPointYet(`${featureId} has no point yet: getFeatureSpec says how often one comes`);
    }
    return point;
  }

  /**
   * The newest point of each feature, in the order asked; of all features where none is named. `missing` names features
   * without a point yet.
   */
  async getLatestFeaturePoints(
    featureIds?: string | readonly string[],
    { signal }: CallOptions = {},
  ): Promise<Points<FeaturePoint>> {
    const parameters = { featureIds: featureIds === undefined ? undefined : idsOf(featureIds) };
    const asked = { method: "GET", path: "/v1/latest", parameters, signal } as const;
    const { body } = await this.#connection.ask(LatestAnswerSchema, asked);
    return pointsOf(body.points, body.missing);
  }

  /** Points with since <= ts < until, by feature in the order asked, then by ts; all pages are of one state of the store. */
  queryFeaturePoints<V extends Vintage = "latest">(query: Query<V>): Promise<Points<PointOf<V>>> {
    return allOf(this.#connection, query);
  }

  /** As `queryFeaturePoints`, point by point: no more than a page is in memory, however long the range. */
  async *iterateFeaturePoints<V extends Vintage = "latest">(
    query: Query<V>,
  ): AsyncGenerator<PointOf<V>, void, undefined> {
    for await (const page of pagesOf(this.#connection, query)) {
      yield* page;
    }
  }

  /**
   * For each row of the spine the newest point of each feature whose period was over at `at`, as it was known then.
   * A spine beyond 50,000 rows goes in parts.
   */
  historical(
    spine: readonly (Instant | SpineRow)[],
    featureIds: string | readonly string[],
    options: JoinOptions = {},
  ): Promise<JoinedRows> {
    return joined(this.#connection, spine, featureIds, options);
  }

  /** Every version of the point at `ts`, or of the points with since <= ts < until, in the order they were told. */
  async revisions(featureId: string, { ts, since, until, signal }: RevisionsQuery = {}): Promise<Version[]> {
    const parameters = {
      featureId,
      ts: instant("ts", ts),
      since: bound("since", since),
      until: bound("until", until),
    };
    const asked = { method: "GET", path: "/v1/revisions", parameters, signal } as const;
    return (await this.#connection.ask(RevisionsAnswerSchema, asked)).body.versions;
  }

  /** Where the value at `ts` comes from; throws the problem not-found where there is none in that state. */
  async explain(
    featureId: string,
    ts: Instant,
    { asOf, asStored, strict, signal }: ExplainOptions = {},
  ): Promise<Explanation> {
    const parameters = {
      featureId,
      ts: instant("ts", ts),
      asOf: instant("asOf", asOf),
      asStored: instant("asStored", asStored),
      strict,
    };
    const asked = { method: "GET", path: "/v1/explain", parameters, signal } as const;
    return (await this.#connection.ask(ExplanationSchema, asked)).body;
  }

  /**
   * Write points. "all", the default, takes 10,000 points at most, writes nothing when one fails and throws the problem
   * points-failed, whose `errors` name them; "each" writes those that pass, and sends more than 10,000 in parts.
   *
   * A call carries an idempotency key, so that points are written once however often an answer is lost.
   */
  writeFeaturePoints(points: readonly NewPoint[], options: WriteOptions = {}): Promise<WriteResult> {
    return written(this.#connection, points, options);
  }
}
