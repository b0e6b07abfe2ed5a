import { createServer } from "node:net";
import { expect, test } from "vitest";
import { FeatureStore, ProblemError, TimedOut, UnexpectedAnswer } from "../src/index.js";
import { KEY, PRICE, seen, served, spoilt, thrown } from "./store.js";

test.each(["503", "502", "504", "503 after 0", "429 after 0", "drop", "lose", "cut"])(
  "a fault that passes is not seen: %s",
  async (fault) => {
    const store = await spoilt([fault, fault]);
    expect(await store.queryFeaturePoints({ featureIds: PRICE })).toHaveLength(59);
    expect(await seen()).toHaveLength(3);
  },
);

test.each(["500", "401", "404"])("what trying again does not mend is tried once: %s", async (status) => {
  const store = await spoilt([status]);
  const error = await thrown(store.getLatestFeaturePoints());
  expect(error).toMatchObject({ status: Number(status), type: "about:blank", slug: "", title: `HTTP ${status}` });
  expect(await seen()).toHaveLength(1);
});

test("Retry-After is obeyed", async () => {
  const store = await spoilt(["429 after 1"]);
  const began = performance.now();
  await store.getLatestFeaturePoints();
  expect(performance.now() - began).toBeGreaterThanOrEqual(1000);
});

test("more patience than there is is told at once", async () => {
  const store = await spoilt(["429 after 600"]);
  expect(await thrown(store.getLatestFeaturePoints())).toMatchObject({ status: 429, retryAfter: 600 });
  expect(await seen()).toHaveLength(1);
});

test("attempts are bounded", async () => {
  const store = await spoilt(Array(9).fill("503 after 0"));
  expect(await thrown(store.getLatestFeaturePoints())).toBeInstanceOf(ProblemError);
  expect(await seen()).toHaveLength(3);
});

test("a page of somebody else is no answer", async () => {
  const store = await spoilt(["html"]);
  const error = await thrown(store.getLatestFeaturePoints());
  expect(error).toBeInstanceOf(UnexpectedAnswer);
  expect(String(error)).toContain("text/html");
});

test("an answer that does not come times out, and is tried again", async () => {
  let connections = 0;
  const hole = createServer(() => {
    connections += 1;
  });
  await new Promise<void>((listening) => hole.listen(0, "127.0.0.1", listening));
  const address = hole.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const store = new FeatureStore({ url: `http://127.0.0.1:${port}`, apiKey: KEY, timeoutMs: 100, attempts: 2 });
  const error = await thrown(store.getCatalog());
  hole.close();
  expect(error).toBeInstanceOf(TimedOut);
  expect(String(error)).toContain("raise timeoutMs");
  expect(connections).toBe(2);
});

test("a caller ends a call, a wait and an iteration, and gets the reason", async () => {
  const reason = new Error("the user went on");
  expect(await thrown(served().getCatalog({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  const waiting = new AbortController();
  const store = await spoilt(["429 after 60"]);
  const call = thrown(store.getCatalog({ signal: waiting.signal }));
  setTimeout(() => waiting.abort(reason), 200);
  expect(await call).toBe(reason);
  expect(await seen()).toHaveLength(1);
});
