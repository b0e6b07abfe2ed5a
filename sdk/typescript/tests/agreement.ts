/**
 * The contracts agree with the types that are generated from the API's own description: `tsc` fails at the line of one
 * that does not. Each is checked in both directions, but for members of which the contract knows more.
 */

import type { z } from "zod";
import type * as contracts from "../src/contracts.js";
import type { components } from "../src/openapi.js";

type Told = components["schemas"];
type Read<Name extends keyof typeof contracts> = z.input<(typeof contracts)[Name]>;
type Sent = z.output<typeof contracts.NewPointSchema>;

/** The named members but some; what else an object may have is left out. */
type Known<T, Narrowed> = {
  [Key in keyof T as string extends Key ? never : Key extends Narrowed ? never : Key]: T[Key];
};

/** True where both say the same; `Narrowed` are the members of which we know more. */
type Agrees<Ours extends Theirs, Theirs, Narrowed = never> = [Known<Theirs, Narrowed>] extends [Known<Ours, Narrowed>]
  ? [keyof Known<Ours, never>] extends [keyof Known<Theirs, never>]
    ? true
    : false
  : false;

type Holds<Fact extends true> = Fact;

export type Agreement = [
  Holds<Agrees<Read<"FeatureSpecSchema">, Told["FeatureEntry"], "source" | "quality">>,
  Holds<Agrees<Read<"PointVersionSchema">, Told["FeaturePoint"], "evidence">>,
  Holds<Agrees<Read<"FeaturePointSchema">, Told["FeaturePoint"], "evidence" | "value">>,
  Holds<Agrees<Read<"VersionSchema">, Told["Version"], "evidence">>,
  Holds<Agrees<Read<"JoinedPointSchema">, Told["JoinedPoint"]>>,
  Holds<Agrees<Read<"JoinedRowSchema">, Told["JoinedRow"]>>,
  Holds<Agrees<Read<"SourceAnswerSchema">, Told["SourceAnswer"]>>,
  Holds<Agrees<Read<"AssessmentSchema">, Told["AssessmentAnswer"]>>,
  Holds<Agrees<Read<"ExplanationSchema">, Told["Explanation"]>>,
  Holds<Agrees<Read<"PointErrorSchema">, Told["PublishFailure"]>>,
  Holds<Agrees<Read<"WriteResultSchema">, Told["PublishResult"]>>,
  Holds<Agrees<Read<"ProblemDetailsSchema">, Known<Told["ProblemDetails"], never>, "errors">>,
  Holds<Agrees<Read<"CatalogAnswerSchema">, Told["CatalogAnswer"], "features">>,
  Holds<Agrees<Read<"LatestAnswerSchema">, Told["LatestAnswer"], "points">>,
  Holds<Agrees<Read<"QueryAnswerSchema">, Told["QueryAnswer"], "points">>,
  Holds<Agrees<Read<"HistoricalAnswerSchema">, Told["HistoricalAnswer"]>>,
  Holds<Agrees<Read<"RevisionsAnswerSchema">, Told["RevisionsAnswer"], "versions">>,
  Holds<Agrees<Sent, Told["Point"], "meta">>,
  Holds<Agrees<NonNullable<Sent["evidence"]>[number], Told["EvidenceRef"]>>,
];
