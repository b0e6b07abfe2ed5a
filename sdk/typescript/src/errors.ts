/**
 * Every error that this package throws on purpose.
 *
 * ```
 * FeatureStoreError
 * ├── ConfigurationError  no address or no key, or one that cannot be right
 * ├── InvalidRequest      the question makes no sense, and was not sent; `errors` names each mistake
 * ├── ProblemError        the store answered with a problem: `slug` says which, `remedy` what to do
 * ├── NoPointYet          the feature has no point yet
 * ├── ConnectionFailed    no whole answer came
 * │   └── TimedOut        not in time
 * └── UnexpectedAnswer    what answered does not speak as the store does
 * ```
 *
 * ConnectionFailed and problems of the statuses 429, 502, 503 and 504 were tried again before they were thrown. A message
 * says what happened and what to do. None carries the key. Where the caller's own `signal` ends a call, its reason is thrown.
 */

import type { Mistake, PointError } from "./contracts.js";

/** Root of the tree: catch this to catch everything thrown on purpose. */
export class FeatureStoreError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** No address or no key is given, or one that cannot be right. */
export class ConfigurationError extends FeatureStoreError {}

/** The question makes no sense, and was not sent. */
export class InvalidRequest extends FeatureStoreError {
  /** Each mistake, by its place in what was given. */
  readonly errors: readonly Mistake[];

  constructor(errors: readonly Mistake[]) {
    super(errors.map(({ where, problem }) => `${where}: ${problem}`).join("; "));
    this.errors = errors;
  }
}

/** The feature has no point yet; `getFeatureSpec` says how often one comes. */
export class NoPointYet extends FeatureStoreError {}

/** No whole answer came. */
export class ConnectionFailed extends FeatureStoreError {}

/** No whole answer came in time. */
export class TimedOut extends ConnectionFailed {}

/** What answered does not speak as the store does. */
export class UnexpectedAnswer extends FeatureStoreError {}

/** What a problem tells (RFC 9457). */
export interface Problem {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  readonly remedy: string;
  readonly requestId: string | undefined;
  readonly retryAfter: number | undefined;
  readonly errors: readonly (Mistake | PointError)[];
}

/** The store, or what lies between, answered with a problem (RFC 9457). */
export class ProblemError extends FeatureStoreError implements Problem {
  /** The HTTP status of the answer. */
  readonly status: number;
  /** What kind of problem it is: a URN of the store's; `about:blank` where not the store answered. */
  readonly type: string;
  /** The end of `type`, for example `unknown-feature`; empty where not the store answered. */
  readonly slug: string;
  readonly title: string;
  /** What is wrong with this request. */
  readonly detail: string;
  /** What to do. */
  readonly remedy: string;
  /** The store's log has more under it. */
  readonly requestId: string | undefined;
  /** In how many seconds to come again, where the answer says it. */
  readonly retryAfter: number | undefined;
  /** Each mistake of a request, or each point that failed. */
  readonly errors: readonly (Mistake | PointError)[];

  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail.replace(/[. ]+$/, "")}. ${problem.remedy}`);
    this.status = problem.status;
    this.type = problem.type;
    this.slug = slugOf(problem.type);
    this.title = problem.title;
    this.detail = problem.detail;
    this.remedy = problem.remedy;
    this.requestId = problem.requestId;
    this.retryAfter = problem.retryAfter;
    this.errors = problem.errors;
  }
}

const TYPE = "urn:feature-store:problem:";

function slugOf(type: string): string {
  return type.startsWith(TYPE) ? type.slice(TYPE.length) : "";
}
