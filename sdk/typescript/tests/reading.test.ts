import { expect, expectTypeOf, test } from "vitest";
import { type FeaturePoint, type Points, type PointVersion, ProblemError } from "../src/index.js";
import {
  COUNT,
  GAS,
  KEY,
  LIQUIDITY,
  LONG,
  NOW,
  PRICE,
  seen,
  served,
  spoilt,
  thrown,
  URL_OF_STORE,
  VIX,
} from "./store.js";

/** The minute that was told twice, and when: first at 10:06, then at noon. */
const REVISED = { featureIds: PRICE, since: "2024-06-03T10:05:00Z", until: "2024-06-03T10:06:00Z" };

function valuesOf(points: readonly { value: number | null }[]): (number | null)[] {
  return points.map((point) => point.value);
}

test("the catalog is searched by text, tag, entity and source", async () => {
  const [vix, ...others] = await served().getCatalog({ search: "vix", entity: "macro", source: "tradingview" });
  expect(others).toEqual([]);
  expect(vix).toMatchObject({ id: VIX, unit: "index", source: { id: "tradingview", class: "macro" } });
  expect(vix?.series).toBe("CBOE:VIX");
  expect(await served().getFeatureSpec(VIX)).toEqual(vix);
  expect((await served().getCatalog({ tag: "etf" })).map((spec) => spec.id)).toEqual([
    "crypto/etf/btc_net_flow_usd",
    "crypto/etf/eth_net_flow_usd",
  ]);
  expect((await served().getCatalog()).length).toBeGreaterThan(20);
});

test("a point has every member of the wire, and its instants as they came", async () => {
  const answer = await fetch(`${URL_OF_STORE}/v1/latest?featureIds=${PRICE}`, {
    headers: { authorization: `Bearer ${KEY}` },
  });
  const { points } = (await answer.json()) as { points: unknown[] };
  const point = await served().getLatestFeaturePoint(PRICE);
  expect(point).toEqual(points[0]);
  expect(point).toMatchObject({ featureId: PRICE, ts: "2024-06-03T10:59:00Z", meta: { note: 'a, "b"' } });
  expect(point.evidence[0]).toMatchObject({ source: "binance", fetchedAt: NOW });
});

test("the newest points come in the order asked, and what is missing is named", async () => {
  const points = await served().getLatestFeaturePoints([VIX, GAS, PRICE]);
  expect(points.map((point) => point.featureId)).toEqual([VIX, PRICE]);
  expect(points.missing).toEqual([GAS]);
  expect(points.backfilledShare).toBe(0.5);
  expect((await served().getLatestFeaturePoints()).length).toBeGreaterThan(3);
  expect(await thrown(served().getLatestFeaturePoint(GAS))).toMatchObject({ name: "NoPointYet" });
});

test("pages together are every point once, in order", async () => {
  const store = await spoilt([]);
  const points = await store.queryFeaturePoints({ featureIds: [VIX, LONG] });
  expect(await seen()).toHaveLength(3);
  expect(points).toHaveLength(COUNT + 4);
  const long = points.slice(4).map((point) => point.ts);
  expect(new Set(long).size).toBe(COUNT);
  expect(long).toEqual([...long].sort());
  expect(points.backfilledShare).toBeCloseTo(4 / (COUNT + 4));
});

test("an iteration asks for a page when it comes to it", async () => {
  const store = await spoilt([]);
  let count = 0;
  for await (const point of store.iterateFeaturePoints({ featureIds: LONG })) {
    expect(point.featureId).toBe(LONG);
    count += 1;
    if (count === 10_000) {
      expect(await seen()).toHaveLength(1);
    }
  }
  expect(count).toBe(COUNT);
  expect(await seen()).toHaveLength(3);
});

test("a limit bounds what comes over pages", async () => {
  const points = await served().queryFeaturePoints({ featureIds: [LONG, VIX], limit: 10_010 });
  expect(points).toHaveLength(10_010);
  expect(points.missing).toEqual([]);
});

test("days are their midnights in UTC, and a Date or a text with any zone is an instant", async () => {
  const day = await served().queryFeaturePoints({ featureIds: LONG, since: "2024-04-02", until: "2024-04-03" });
  expect(day).toHaveLength(1440);
  const since = new Date(Date.UTC(2024, 3, 2));
  expect(await served().queryFeaturePoints({ featureIds: LONG, since, until: "2024-04-03T02:00:00+02:00" })).toEqual(
    day,
  );
});

test("an empty range is an empty answer, and names what is missing", async () => {
  const points = await served().queryFeaturePoints({ featureIds: [VIX, PRICE], until: "2000-01-01" });
  expect([...points]).toEqual([]);
  expect(points).toMatchObject({ backfilledShare: 0, missing: [VIX, PRICE] });
});

test("a revision is seen as it was known then and as it is known now", async () => {
  const store = served();
  expect(valuesOf(await store.queryFeaturePoints(REVISED))).toEqual([1.5]);
  expect(valuesOf(await store.queryFeaturePoints({ ...REVISED, asOf: "2024-06-03T11:00:00Z" }))).toEqual([67_005.1]);
  expect(valuesOf(await store.queryFeaturePoints({ ...REVISED, vintage: "first" }))).toEqual([67_005.1]);
  expect(await store.queryFeaturePoints({ ...REVISED, asStored: new Date("2024-06-03T11:00:00Z") })).toHaveLength(0);
});

test("a strict answer has no backfilled value before it was ingested", async () => {
  const known = { featureIds: VIX, asOf: "2024-06-02T00:00:00Z" };
  expect(await served().queryFeaturePoints(known)).toHaveLength(0);
  expect(await served().queryFeaturePoints({ ...known, strict: false })).toHaveLength(4);
});

test("every vintage tells of what was withdrawn, and its type says so", async () => {
  const minute = { featureIds: PRICE, since: "2024-06-03T10:07:00Z", until: "2024-06-03T10:08:00Z" };
  const all = await served().queryFeaturePoints({ ...minute, vintage: "all" });
  expect(valuesOf(all)).toEqual([67_007.1, null]);
  expectTypeOf(all).toEqualTypeOf<Points<PointVersion>>();
  expectTypeOf(await served().queryFeaturePoints(minute)).toEqualTypeOf<Points<FeaturePoint>>();
});

test("revisions tell every version in order", async () => {
  const versions = await served().revisions(PRICE, { ts: REVISED.since });
  expect(valuesOf(versions)).toEqual([67_005.1, 1.5]);
  expect(versions.map((version) => version.availableAt)).toEqual(["2024-06-03T10:06:00Z", NOW]);
  expect(await served().revisions(PRICE, { since: REVISED.since, until: "2024-06-03T10:08:00Z" })).toHaveLength(5);
});

test("a value leads to its inputs, and to the answers it was read from", async () => {
  const why = await served().explain(LIQUIDITY, "2024-05-29T00:00:00Z");
  expect(why).toMatchObject({ value: 5.8e12, assessment: null, inputs: [{ featureId: VIX, value: 13.5 }] });
  const { sources } = await served().explain(PRICE, new Date("2024-06-03T10:59:00Z"));
  expect(sources).toMatchObject([{ source: "binance", status: 200, payload: "database" }]);
  const then = await served().explain(PRICE, REVISED.since, { asOf: "2024-06-03T11:00:00Z" });
  expect(then.value).toBe(67_005.1);
});

test("a join has for each instant what was known then", async () => {
  const spine = ["2024-06-03T10:30:00Z", new Date("2024-06-03T11:30:00Z"), "2024-06-03T12:01:00Z"];
  const rows = await served().historical(spine, [PRICE, VIX], { maxAge: "P10D" });
  expect(rows.map((row) => row.values)).toEqual([
    { [PRICE]: 67_029.1, [VIX]: null },
    { [PRICE]: 67_059.1, [VIX]: null },
    { [PRICE]: 67_059.1, [VIX]: 13.5 },
  ]);
  expect(rows.backfilledShare).toEqual({ [PRICE]: 0, [VIX]: 1 });
});

test("a row of a join may ask what was known at another instant, and which point its value is of", async () => {
  const at = "2024-06-03T10:06:00Z";
  const spine = [
    { at, asOf: "2024-06-03T11:00:00Z" },
    { at, asOf: NOW },
  ];
  const rows = await served().historical(spine, PRICE, { detail: true, maxAge: { [PRICE]: "PT1H" } });
  expect(rows.map((row) => [row.asOf, row.values[PRICE]])).toEqual([
    ["2024-06-03T11:00:00Z", 67_005.1],
    [NOW, 1.5],
  ]);
  expect(rows[1]?.points?.[PRICE]).toMatchObject({ ts: REVISED.since, validAt: at, availableAt: NOW });
});

test("a long spine goes in parts and comes back whole, and an empty one is an empty answer", async () => {
  const store = await spoilt([]);
  const spine = Array.from({ length: 60_000 }, (_, second) => new Date(Date.parse(NOW) - second * 1000));
  const rows = await store.historical(spine, [PRICE, VIX]);
  expect(await seen()).toHaveLength(2);
  expect(rows.map((row) => Date.parse(row.at))).toEqual(spine.map(Number));
  expect(rows.backfilledShare).toEqual({ [PRICE]: 0, [VIX]: 1 });
  expect(await store.historical([], PRICE)).toHaveLength(0);
});

test("an unknown feature is named, and the remedy says where to look", async () => {
  const strange = "crypto/btc/pric?x=#1";
  for (const asked of [
    served().getFeatureSpec(strange),
    served().getLatestFeaturePoint(strange),
    served().queryFeaturePoints({ featureIds: strange }),
  ]) {
    const error = await thrown(asked);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({
      status: 404,
      slug: "unknown-feature",
      remedy: expect.stringContaining("/v1/catalog"),
    });
    expect(String(error)).toContain("crypto/btc/pric?x=#1");
  }
});
