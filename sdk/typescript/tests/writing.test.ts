import { expect, test } from "vitest";
import { type NewPoint, ProblemError } from "../src/index.js";
import { FLOW, PUBLISH_KEY, seen, served, spoilt, thrown, VIX } from "./store.js";

let weeks = 0;

/** A flow of a day that no other test writes to: a Monday of 2024. */
function flow(value: number): NewPoint {
  weeks += 1;
  return { featureId: FLOW, ts: new Date(Date.UTC(2024, 0, 15 + 7 * (weeks - 1))), value };
}

async function valuesAt(ts: NewPoint["ts"]): Promise<(number | null)[]> {
  return (await served().revisions(FLOW, { ts })).map((version) => version.value);
}

test("points are written, and a second time are duplicates", async () => {
  const store = served(PUBLISH_KEY);
  const point: NewPoint = {
    ...flow(2.5e8),
    stale: false,
    confidence: 0.8,
    meta: { desk: "etf" },
    evidence: [{ source: "issuer", fetchedAt: new Date("2024-03-01T00:00:00Z") }],
    availableAt: "2024-03-01T00:00:00Z",
  };
  expect(await store.writeFeaturePoints([point])).toEqual({
    inserted: 1,
    duplicate: 0,
    failed: 0,
    errors: [],
    replayed: false,
  });
  expect(await store.writeFeaturePoints([point])).toMatchObject({ inserted: 0, duplicate: 1, replayed: false });
  const [read] = await store.queryFeaturePoints({ featureIds: FLOW, since: point.ts, limit: 1 });
  expect(read).toMatchObject({ value: 2.5e8, confidence: 0.8, availableBasis: "stated", meta: { desk: "etf" } });
  expect(read?.evidence[0]).toMatchObject({ source: expect.any(String) });
});

test("what is written is the newest point at once, and a revision of it is seen then and now", async () => {
  const store = served(PUBLISH_KEY);
  const point = flow(1e8);
  await store.writeFeaturePoints([{ ...point, availableAt: "2024-05-01T00:00:00Z" }]);
  await store.writeFeaturePoints([{ ...point, value: 3e8, availableAt: "2024-05-02T00:00:00Z" }]);
  const until = new Date(Number(point.ts) + 86_400_000);
  const day = { featureIds: FLOW, since: point.ts, until };
  const [now] = await store.queryFeaturePoints(day);
  const [then] = await store.queryFeaturePoints({ ...day, asOf: "2024-05-01T12:00:00Z" });
  expect([then?.value, now?.value]).toEqual([1e8, 3e8]);
  expect(await valuesAt(point.ts)).toEqual([1e8, 3e8]);
});

test.each(["lose", "503", "429 after 0", "drop", "cut"])(
  "a write that is tried again is written once: %s",
  async (fault) => {
    const store = await spoilt([fault, fault], PUBLISH_KEY);
    const point = flow(1e8);
    const result = await store.writeFeaturePoints([point]);
    expect(result).toMatchObject({ inserted: 1, duplicate: 0, replayed: ["lose", "cut"].includes(fault) });
    const keys = (await seen()).map((headers) => headers["idempotency-key"]);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(await valuesAt(point.ts)).toEqual([1e8]);
  },
);

test("a key of one's own lets a program go on, and is for the same points alone", async () => {
  const point = flow(1e8);
  const idempotencyKey = `load ${String(point.ts)}`;
  const cut = await spoilt(["lose", "lose", "lose"], PUBLISH_KEY);
  expect(await thrown(cut.writeFeaturePoints([point], { idempotencyKey }))).toMatchObject({ name: "ConnectionFailed" });
  const store = served(PUBLISH_KEY);
  expect(await store.writeFeaturePoints([point], { idempotencyKey })).toMatchObject({ inserted: 1, replayed: true });
  const other = store.writeFeaturePoints([{ ...point, value: 2e8 }], { idempotencyKey });
  expect(await thrown(other)).toMatchObject({ slug: "idempotency-mismatch", remedy: expect.any(String) });
});

test("all writes nothing when one fails, and each writes the rest", async () => {
  const store = served(PUBLISH_KEY);
  const point = flow(1e8);
  const points = [point, { ...point, featureId: "no/such" }, { ...point, ts: "2024-06-12T00:00:00Z" }];
  const error = await thrown(store.writeFeaturePoints(points));
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({
    slug: "points-failed",
    errors: [
      { index: 1, featureId: "no/such", rule: "unknown_feature" },
      { index: 2, rule: "in_the_future" },
    ],
  });
  expect(await valuesAt(point.ts)).toEqual([]);
  expect(await store.writeFeaturePoints(points, { mode: "each" })).toMatchObject({ inserted: 1, failed: 2 });
});

test("each sends many points in parts and names them by their place", async () => {
  const store = await spoilt([], PUBLISH_KEY);
  const points = Array<NewPoint>(10_001).fill({ featureId: "no/such", ts: "2024-05-29T00:00:00Z", value: 1 });
  const result = await store.writeFeaturePoints(points, { mode: "each" });
  expect(result.failed).toBe(10_001);
  expect(result.errors.at(-1)?.index).toBe(10_000);
  expect(new Set((await seen()).map((headers) => headers["idempotency-key"])).size).toBe(2);
});

test("a feature of a connector is not written, and its points are named", async () => {
  const error = await thrown(
    served(PUBLISH_KEY).writeFeaturePoints([{ featureId: VIX, ts: "2024-05-28T00:00:00Z", value: 14 }]),
  );
  expect(error).toMatchObject({ status: 403, errors: [{ index: 0, rule: "not_a_writer" }] });
});
