import { inspect } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import {
  ConfigurationError,
  ConnectionFailed,
  type FeaturePoint,
  FeatureStore,
  InvalidRequest,
  ProblemError,
} from "../src/index.js";
import { KEY, NOW, PRICE, PUBLISH_KEY, seen, served, spoilt, thrown, URL_OF_STORE, VIX } from "./store.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a problem tells its status, type, detail, remedy and request", async () => {
  const error = await thrown(served().queryFeaturePoints({ featureIds: PRICE, since: NOW, until: "2024-06-01" }));
  expect(error).toBeInstanceOf(ProblemError);
  const problem = error as ProblemError;
  expect(problem).toMatchObject({
    name: "ProblemError",
    status: 422,
    type: "urn:feature-store:problem:invalid-request",
    slug: "invalid-request",
    errors: [{ where: expect.any(String), problem: expect.stringContaining("lies before since") }],
  });
  expect(problem.message).toContain(problem.detail);
  expect(problem.message).toContain(problem.remedy);
  expect(problem.requestId).toMatch(/^[0-9a-f]{32}$/);
});

test("a key that is not valid, and one that lacks the scope, are problems of their own", async () => {
  const invalid = await thrown(served(`fs_aaaaaaaa_${"x".repeat(43)}`).getCatalog());
  expect(invalid).toMatchObject({ status: 401, slug: "invalid-key", remedy: expect.stringContaining("keys create") });
  const lacking = await thrown(served().writeFeaturePoints([{ featureId: VIX, ts: NOW, value: 1 }]));
  expect(lacking).toMatchObject({ status: 403, slug: "missing-scope" });
});

test("a value that is not there is a problem that says where to look", async () => {
  const error = await thrown(served().explain(PRICE, "2001-01-01T00:00:00Z"));
  expect(error).toMatchObject({ status: 404, slug: "not-found", remedy: expect.stringContaining("revisions") });
});

test.each([
  [() => served().queryFeaturePoints({ featureIds: [] }), "featureIds: names no feature: getCatalog() lists them"],
  [() => served().queryFeaturePoints({ featureIds: VIX, limit: 0 }), "limit: is no whole number of one or more"],
  [
    () => served().queryFeaturePoints({ featureIds: VIX, since: "2024-05-29T14:30:00" }),
    "since: is no ISO 8601 instant",
  ],
  [() => served().queryFeaturePoints({ featureIds: VIX, asOf: "2024-05-29" }), "asOf: is no ISO 8601 instant"],
  [() => served().explain(VIX, new Date(Number.NaN)), "ts: is no ISO 8601 instant"],
  [() => served().historical([NOW, "noon"], VIX), "spine[1]: is no ISO 8601 instant"],
  [() => served().historical([{ at: NOW, asOf: "noon" }], VIX), "spine[0].asOf: is no ISO 8601 instant"],
  [() => served(PUBLISH_KEY).writeFeaturePoints([{ featureId: VIX, ts: NOW, value: Number.NaN }]), "points[0].value"],
  [() => served(PUBLISH_KEY).writeFeaturePoints([{ featureId: VIX, ts: "2024", value: 1 }]), "points[0].ts"],
])("what cannot be right is refused with its place before it is sent (%#)", async (ask, words) => {
  const error = await thrown(ask());
  expect(error).toBeInstanceOf(InvalidRequest);
  expect(String(error)).toContain(words);
});

test.each([
  [{ apiKey: "k" }, "FEATURE_STORE_API_URL"],
  [{ url: "http://h" }, "FEATURE_STORE_API_KEY"],
  [{ url: "127.0.0.1:18000", apiKey: "k" }, "http(s)://host:port"],
  [{ url: "http://user:secret@h", apiKey: "k" }, "nothing else"],
  [{ url: "http://h/?a=1", apiKey: "k" }, "nothing else"],
  [{ url: "http://h", apiKey: "fs_ä" }, "characters"],
  [{ url: "http://h", apiKey: "fs_a\nb" }, "characters"],
  [{ url: "http://h", apiKey: "k", attempts: 0 }, "attempts"],
])("a configuration that cannot be right is refused at once (%#)", (options, words) => {
  vi.stubEnv("FEATURE_STORE_API_URL", "");
  vi.stubEnv("FEATURE_STORE_API_KEY", "");
  const making = () => new FeatureStore(options);
  expect(making).toThrow(ConfigurationError);
  expect(making).toThrow(words);
  expect(making).not.toThrow(/secret|fs_/);
});

test("address and key come from the environment, whatever a shell left around them", async () => {
  vi.stubEnv("FEATURE_STORE_API_URL", `${URL_OF_STORE}/`);
  vi.stubEnv("FEATURE_STORE_API_KEY", `${KEY}\n`);
  expect(await new FeatureStore().getCatalog({ search: "vix" })).toHaveLength(1);
});

test("the functions of the same names ask the store of the environment", async () => {
  vi.stubEnv("FEATURE_STORE_API_URL", URL_OF_STORE);
  vi.stubEnv("FEATURE_STORE_API_KEY", KEY);
  const verbs = await import("../src/default.js");
  const store = served();
  const ts = "2024-06-03T10:05:00Z";
  expect(await verbs.getCatalog()).toEqual(await store.getCatalog());
  expect(await verbs.getFeatureSpec(VIX)).toEqual(await store.getFeatureSpec(VIX));
  expect(await verbs.getLatestFeaturePoint(PRICE)).toEqual(await store.getLatestFeaturePoint(PRICE));
  expect(await verbs.getLatestFeaturePoints([VIX])).toEqual(await store.getLatestFeaturePoints([VIX]));
  expect(await verbs.queryFeaturePoints({ featureIds: VIX })).toEqual(
    await store.queryFeaturePoints({ featureIds: VIX }),
  );
  const iterated: FeaturePoint[] = [];
  for await (const point of verbs.iterateFeaturePoints({ featureIds: VIX })) {
    iterated.push(point);
  }
  expect(iterated).toHaveLength(4);
  expect(await verbs.historical([NOW], VIX)).toEqual(await store.historical([NOW], VIX));
  expect(await verbs.revisions(PRICE, { ts })).toEqual(await store.revisions(PRICE, { ts }));
  expect(await verbs.explain(PRICE, ts)).toEqual(await store.explain(PRICE, ts));
  expect(await thrown(verbs.writeFeaturePoints([]))).toMatchObject({ slug: "missing-scope" });
});

test("the key is in no error and in nothing that is printed", async () => {
  const apiKey = `fs_aaaaaaaa_${"S".repeat(43)}`;
  const failures: unknown[] = [await thrown(served(apiKey).getCatalog())];
  const flaky = await spoilt(["cut", "drop", "html"], apiKey);
  failures.push(await thrown(flaky.getCatalog()));
  const away = new FeatureStore({ url: "http://127.0.0.1:9", apiKey, attempts: 1 });
  failures.push(await thrown(away.getCatalog()));
  expect((await seen())[0]?.authorization).toBe(`Bearer ${apiKey}`);
  const shown = [flaky, ...failures].map(
    (each) => inspect(each, { depth: 9, showHidden: true }) + JSON.stringify(each),
  );
  expect(shown.join()).toContain("ConnectionFailed");
  expect(shown.join()).not.toContain("SSSS");
  expect(failures.at(-1)).toBeInstanceOf(ConnectionFailed);
});
