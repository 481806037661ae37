import { FleetError } from "../../domain/errors.ts";

/** What the doctor looks at, in the order in which one thing rests on another. */
export type DiagnosisStage =
  | "name"
  | "tcp"
  | "tls"
  | "authority"
  | "grpc"
  | "clock"
  | "identity"
  | "certificate"
  | "engine";

/** What one stage found. */
export interface Diagnosis {
  readonly stage: DiagnosisStage;
  /** "skipped": there was nothing to look at, or what it rests on failed. */
  readonly verdict: "good" | "bad" | "skipped";
  /** What was seen. */
  readonly detail: string;
  /** The one thing to do. Only of use when it is bad. */
  readonly advice?: string;
}

/** A stage that found what it should. */
export function good(stage: DiagnosisStage, detail: string): Diagnosis {
  return { stage, verdict: "good", detail };
}

/** A stage that did not, and what to do about it. */
export function bad(stage: DiagnosisStage, detail: string, advice: string): Diagnosis {
  return { stage, verdict: "bad", detail, advice };
}

/** A stage with nothing to look at. */
export function skipped(stage: DiagnosisStage, detail: string): Diagnosis {
  return { stage, verdict: "skipped", detail };
}

/** What is wrong as an error, whose text is the one thing to do. */
export function errorFromDiagnosis({ stage, detail, advice }: Diagnosis): FleetError {
  return new FleetError("OPERATION_FAILED", advice ?? detail, { metadata: { stage, detail } });
}
