/**
 * The contracts: what the store answers and takes, as zod schemas and as the types inferred from them.
 *
 * Answers are parsed by these when they arrive. Instants are ISO 8601 in UTC, to the microsecond, which a `Date` could not
 * hold. `tests/agreement.ts` holds the schemas to the types that are generated from the API's own description.
 */

import { z } from "zod";

/** How `availableAt` is known. */
export const BasisSchema = z.enum(["vintage", "schedule", "backfilled", "ingested", "stated"]);
export type Basis = z.infer<typeof BasisSchema>;

const MetaSchema = z.record(z.string(), z.unknown());

/**
 * Where a value comes from: the answer of a source (`source`, `url`, `fetchedAt`, `sha256`), what a publisher names, or a
 * version of another feature that it was computed from (`feature`, `ts`, `version`, `available_at`).
 */
export const EvidenceRefSchema = z.looseObject({
  source: z.string().optional(),
  url: z.string().nullish(),
  fetchedAt: z.string().nullish(),
  sha256: z.string().nullish(),
  uri: z.string().nullish(),
  feature: z.string().optional(),
  ts: z.string().optional(),
  version: z.number().optional(),
  available_at: z.string().optional(),
});
export type EvidenceRef = z.infer<typeof EvidenceRefSchema>;

/** A feature's entry in the catalog; what else the entry says is there under its own name. */
export const FeatureSpecSchema = z.looseObject({
  id: z.string(),
  entity: z.enum(["asset", "pair", "market", "macro"]),
  description: z.string(),
  /** Of its values, for example USD, index, ratio. */
  unit: z.string(),
  frequency: z.enum(["tick", "1m", "5m", "1h", "1d"]),
  /** Older than so many milliseconds, a point is stale; time in which its calendar is closed does not count. */
  ttl_ms: z.number(),
  tags: z.array(z.string()),
  source: z.looseObject({
    id: z.string(),
    class: z.enum(["onchain", "cex", "macro", "derived"]),
    schema: z.string(),
  }),
  quality: z.looseObject({
    /** In the feature's unit. */
    expected_range: z.tuple([z.number(), z.number()]).optional(),
    seasonal: z.boolean().optional(),
  }),
  /** Of its definition. */
  version: z.number(),
  owner: z.string(),
  calendar: z.string(),
  /** Whether `ts` is an instant, or the start or the end of a period. */
  label: z.enum(["instant", "start", "end"]),
  writers: z.array(z.enum(["connector", "publish"])),
});
export type FeatureSpec = z.infer<typeof FeatureSpecSchema>;

/** A version of a feature's point, whose value is null where it was withdrawn: what `vintage: "all"` tells. */
export const PointVersionSchema = z.object({
  featureId: z.string(),
  /** The instant that it describes, UTC; the catalog's `label` says whether it is one, or a period's start or end. */
  ts: z.string(),
  /** In the feature's unit. */
  value: z.number().nullable(),
  /** Whether it is older than the feature's `ttl_ms`, closed time of its calendar apart. */
  stale: z.boolean(),
  /** 0 to 1. */
  confidence: z.number(),
  meta: MetaSchema,
  evidence: z.array(EvidenceRefSchema),
  /** The earliest instant at which its source could have served it, UTC. */
  availableAt: z.string(),
  availableBasis: BasisSchema,
  /** When the store committed it, UTC. */
  ingestedAt: z.string(),
  /** Whether the source will still change it by design. */
  provisional: z.boolean(),
  /** Of the feature's definition. */
  version: z.number(),
});
export type PointVersion = z.infer<typeof PointVersionSchema>;

/** A point: the value of a feature at an instant, and what is known of it. */
export const FeaturePointSchema = PointVersionSchema.extend({
  /** In the feature's unit. */
  value: z.number(),
});
export type FeaturePoint = z.infer<typeof FeaturePointSchema>;

/** A version of a point, as `revisions` tells them. */
export const VersionSchema = PointVersionSchema.omit({ featureId: true, stale: true });
export type Version = z.infer<typeof VersionSchema>;

/** Which point a value of a join is of; instants in UTC. */
export const JoinedPointSchema = z.object({
  ts: z.string(),
  /** When its period was over. */
  validAt: z.string(),
  availableAt: z.string(),
  availableBasis: BasisSchema,
});
export type JoinedPoint = z.infer<typeof JoinedPointSchema>;

/** A row of the spine, and what was known of each feature then. */
export const JoinedRowSchema = z.object({
  at: z.string(),
  asOf: z.string().nullish(),
  /** By feature, in its unit; null where nothing was known, or it was older than `maxAge`. */
  values: z.record(z.string(), z.number().nullable()),
  /** With `detail` alone. */
  points: z.record(z.string(), JoinedPointSchema.nullable()).nullish(),
});
export type JoinedRow = z.infer<typeof JoinedRowSchema>;

/** An answer of a source that a value was read from. */
export const SourceAnswerSchema = z.object({
  source: z.string(),
  stream: z.string(),
  url: z.string(),
  status: z.number().nullable(),
  fetchedAt: z.string(),
  sha256: z.string().nullable(),
  sizeBytes: z.number().nullable(),
  /** Where its bytes lie: database, an s3:// URI, expired, or none where no answer came. */
  payload: z.string(),
  expiredAt: z.string().nullable(),
  /** The path of the API that gives the bytes, while they are held. */
  download: z.string().nullable(),
});
export type SourceAnswer = z.infer<typeof SourceAnswerSchema>;

/** Why the confidence of a version is not the one that it was ingested with. */
export const AssessmentSchema = z.object({
  assessedAt: z.string(),
  /** The factors that the confidence was made of, by their names. */
  reasons: z.record(z.string(), z.number()),
  confidenceAtIngest: z.number(),
});
export type Assessment = z.infer<typeof AssessmentSchema>;

/** A version, and what it was made of: answers of sources, or the versions of other features. */
export const ExplanationSchema = z.object({
  featureId: z.string(),
  version: z.number(),
  ts: z.string(),
  value: z.number().nullable(),
  availableAt: z.string(),
  availableBasis: BasisSchema,
  ingestedAt: z.string(),
  provisional: z.boolean(),
  confidence: z.number(),
  /** Null where the confidence is that at ingest. */
  assessment: AssessmentSchema.nullable(),
  meta: MetaSchema,
  sources: z.array(SourceAnswerSchema),
  get inputs() {
    return z.array(ExplanationSchema);
  },
});
export type Explanation = z.infer<typeof ExplanationSchema>;

const ZonedSchema = z.iso.datetime({
  offset: true,
  error: "is no ISO 8601 instant that names its zone, such as 2024-05-29T14:30:00Z",
});
const DateSchema = z.date({ error: "is neither a Date nor a text" });

/** A `Date`, or ISO 8601 that names its zone; becomes ISO 8601. */
export const InstantSchema = z.union([ZonedSchema, DateSchema.transform((date) => date.toISOString())]);
export type Instant = z.input<typeof InstantSchema>;

/** An instant, or a day such as 2024-05-29: its midnight in UTC. */
export const BoundSchema = z.union([InstantSchema, z.iso.date().transform((day) => `${day}T00:00:00Z`)]);
export type Bound = z.input<typeof BoundSchema>;

/** A point to write. */
export const NewPointSchema = z.strictObject({
  featureId: z.string(),
  /** What the catalog's `label` of the feature says. */
  ts: InstantSchema,
  /** In the feature's unit. */
  value: z.number(),
  /** 0 to 1; 1 where absent. */
  confidence: z.number().optional(),
  meta: z.record(z.string(), z.json()).optional(),
  /** Where you have it from. */
  evidence: z
    .array(
      z.strictObject({
        source: z.string(),
        /** Without secrets: every reader sees it. */
        url: z.string().nullish(),
        fetchedAt: InstantSchema.nullish(),
        sha256: z.string().nullish(),
        uri: z.string().nullish(),
      }),
    )
    .optional(),
  /** When it was available to you; absent: when it is written. */
  availableAt: InstantSchema.nullish(),
  provisional: z.boolean().optional(),
  /** Ignored: age decides. */
  stale: z.boolean().nullish(),
});
export type NewPoint = z.input<typeof NewPointSchema>;

/** A point that failed. */
export const PointErrorSchema = z.object({
  /** Among the points of the call, from 0. */
  index: z.number(),
  featureId: z.string(),
  ts: z.string(),
  /** The rule that it broke, for example out_of_range. */
  rule: z.string(),
  reason: z.string(),
});
export type PointError = z.infer<typeof PointErrorSchema>;

/** What became of the points of a call. */
export const WriteResultSchema = z.object({
  inserted: z.number(),
  /** Points that say what the store holds already. */
  duplicate: z.number(),
  failed: z.number(),
  errors: z.array(PointErrorSchema),
});

export type WriteResult = z.infer<typeof WriteResultSchema> & {
  /** Whether an earlier attempt had written them, and this is its answer again. */
  replayed: boolean;
};

/** One mistake in a request. */
export const MistakeSchema = z.object({ where: z.string(), problem: z.string() });
export type Mistake = z.infer<typeof MistakeSchema>;

/** What went wrong, as RFC 9457 has it, and what to do. */
export const ProblemDetailsSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  instance: z.string(),
  remedy: z.string(),
  requestId: z.string(),
  errors: z.array(z.union([PointErrorSchema, MistakeSchema])).nullish(),
});

export const CatalogAnswerSchema = z.object({ features: z.array(FeatureSpecSchema) });
export const LatestAnswerSchema = z.object({
  points: z.array(FeaturePointSchema),
  missing: z.array(z.string()),
});
export const QueryAnswerSchema = z.object({
  points: z.array(PointVersionSchema),
  nextCursor: z.string().nullable(),
  backfilledShare: z.number(),
  asStored: z.string(),
});
export const HistoricalAnswerSchema = z.object({
  rows: z.array(JoinedRowSchema),
  backfilledShare: z.record(z.string(), z.number()),
});
export const RevisionsAnswerSchema = z.object({
  featureId: z.string(),
  versions: z.array(VersionSchema),
});
