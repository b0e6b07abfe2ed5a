/** Requests, sent until they are answered or trying again does not help. */

import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import type { Configuration } from "./configuration.js";
import { ConnectionFailed, ProblemError, UnexpectedAnswer } from "./errors.js";
import { lost, problemOf } from "./problems.js";

/** What every verb may be given beside its question. */
export interface CallOptions {
  /** Ends the call; what it is aborted with is thrown. */
  signal?: AbortSignal | undefined;
}

/** One request. Sending it twice must do no more than sending it once. */
export interface Request extends CallOptions {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly parameters?: Parameters | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Query parameters by the wire's names; an absent one is left out, a list is repeated. */
export type Parameters = Readonly<Record<string, string | readonly string[] | number | boolean | undefined>>;

/** An answer whose body was read. */
export interface Answer<Body> {
  readonly body: Body;
  readonly headers: Headers;
}

const AGAIN: readonly number[] = [429, 502, 503, 504];

/** An answer that asks for more patience is thrown at once: come again then. A minute's limit is shorter. */
const LONGEST_WAIT_MS = 75_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** The way to one store. The key is in a private field, which nothing prints. */
export class Connection {
  readonly #configuration: Configuration;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
  }

  /** The body of the answer, by its schema; throws what errors.ts lists. */
  async ask<Body>(schema: z.ZodType<Body>, request: Request): Promise<Answer<Body>> {
    const { text, headers } = await this.#persistently(request);
    return { body: read(schema, text, headers), headers };
  }

  async #persistently(request: Request): Promise<Told> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(request);
      } catch (error) {
        const pause = pauseMs(error, attempt);
        if (pause === undefined || attempt >= this.#configuration.attempts) {
          throw error;
        }
        await sleep(pause, undefined, request.signal ? { signal: request.signal } : {}).catch(() => {
          throw request.signal?.reason;
        });
      }
    }
  }

  async #once(request: Request): Promise<Told> {
    const { answer, text } = await this.#exchange(request);
    if (answer.status !== 200) {
      throw problemOf(answer, text);
    }
    return { text, headers: answer.headers };
  }

  async #exchange(request: Request): Promise<{ answer: Response; text: string }> {
    const { url, apiKey, timeoutMs } = this.#configuration;
    const ends = [AbortSignal.timeout(timeoutMs), ...(request.signal ? [request.signal] : [])];
    try {
      const answer = await fetch(`${url}${request.path}${queryOf(request.parameters ?? {})}`, {
        method: request.method,
        headers: {
          accept: "application/json",
          authorization: `Bearer ${apiKey}`,
          "user-agent": `feature-store-client Node.js/${process.versions.node}`,
          ...request.headers,
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        redirect: "manual",
        signal: AbortSignal.any(ends),
      });
      return { answer, text: await answer.text() };
    } catch (cause) {
      request.signal?.throwIfAborted();
      throw lost(`${request.method} ${request.path}`, cause, timeoutMs);
    }
  }
}

interface Told {
  readonly text: string;
  readonly headers: Headers;
}

/** How long to wait before the next attempt; undefined where none helps. */
function pauseMs(error: unknown, attempt: number): number | undefined {
  if (error instanceof ProblemError && AGAIN.includes(error.status)) {
    const named = error.retryAfter === undefined ? undefined : error.retryAfter * 1000;
    return named === undefined ? growing(attempt) : named <= LONGEST_WAIT_MS ? named : undefined;
  }
  return error instanceof ConnectionFailed ? growing(attempt) : undefined;
}

/** Further and further apart, and not all clients at once. */
function growing(attempt: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random());
}

function queryOf(parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined) {
        query.append(name, String(each));
      }
    }
  }
  return query.size ? `?${query}` : "";
}

function read<Body>(schema: z.ZodType<Body>, text: string, headers: Headers): Body {
  const media = headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (media !== "application/json") {
    throw new UnexpectedAnswer(
      `application/json was asked for, and ${media || "something without a Content-Type"} came: is this the store's address?`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UnexpectedAnswer("the answer is no JSON");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UnexpectedAnswer(
      `the answer is not as this version of the client knows it: ${issue?.path.join(".")}: ${issue?.message}`,
    );
  }
  return parsed.data;
}
