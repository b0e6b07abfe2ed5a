/** Answers that are no success, and answers that did not come, as errors. */

import { ProblemDetailsSchema } from "./contracts.js";
import { ConnectionFailed, type FeatureStoreError, type Problem, ProblemError, TimedOut } from "./errors.js";

/** The error of an answer that is no success; `text` is its body. */
export function problemOf(answer: Response, text: string): ProblemError {
  const met = {
    status: answer.status,
    requestId: answer.headers.get("x-request-id") ?? undefined,
    retryAfter: secondsOf(answer.headers.get("retry-after")),
  };
  return new ProblemError({ ...(told(answer, text) ?? untold(answer)), ...met });
}

/** The error of a request to which no whole answer came. `cause` is not kept: what holds it might hold the key. */
export function lost(request: string, cause: unknown, timeoutMs: number): FeatureStoreError {
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    return new TimedOut(
      `no whole answer came within ${timeoutMs} ms to ${request}; is the store busy? Ask for less, or raise timeoutMs`,
    );
  }
  return new ConnectionFailed(
    `no whole answer came to ${request} (${reasonOf(cause)}); does the store run at that address?`,
  );
}

function told(answer: Response, text: string): Omit<Problem, "requestId" | "retryAfter"> | undefined {
  if (!answer.headers.get("content-type")?.startsWith("application/problem+json")) {
    return undefined;
  }
  const details = ProblemDetailsSchema.safeParse(jsonOf(text));
  return details.success ? { ...details.data, errors: details.data.errors ?? [] } : undefined;
}

/** What a proxy or another server answers, which does not say what to do. */
function untold(answer: Response): Omit<Problem, "requestId" | "retryAfter"> {
  const location = answer.headers.get("location");
  const remedy = location ? `The address leads on to ${location}: give that one` : "Is this the store's address?";
  const title = `HTTP ${answer.status}`;
  return {
    type: "about:blank",
    status: answer.status,
    title,
    detail: "without a word of the store",
    remedy,
    errors: [],
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = inner instanceof Error && "code" in inner ? inner.code : undefined;
  return String(code ?? (inner instanceof Error ? inner.message : inner));
}

/** Retry-After, which is a number of seconds or a date. */
function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) {
    return undefined;
  }
  if (/^\d+$/.test(retryAfter.trim())) {
    return Number(retryAfter);
  }
  const until = Date.parse(retryAfter);
  return Number.isNaN(until) ? undefined : Math.max(0, (until - Date.now()) / 1000);
}
