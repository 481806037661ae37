import { FleetError } from "../../../domain/errors.ts";
import { operationTraits } from "../../../rpc/operation-traits.ts";
import type { ExecSpec } from "../../../gen/fairlead/container/v1/process_pb.js";
import type { EngineContainer } from "../../engine/engine.ts";
import type { KnownOperation } from "../operations/command-codec.ts";
import { brokenCreateRule } from "./create-rules.ts";
import type { LabelSelector, Policy } from "./policy.ts";

type Labels = Readonly<Record<string, string>>;

/** What an engine's container may have so many labels that some were left out. */
const maxLabels = 512;

/**
 * Decides about one run of an operation, by the policy of the moment at which it began: first about the operation, then
 * about the container. Whoever refuses throws `DENIED_BY_HOST_POLICY` with the metadata `rule`, the rule's path in the file.
 */
export class PolicyGate {
  readonly #policy: Policy;
  #operation = "";
  #isAdmitted = false;
  #isJudged: boolean;

  constructor(policy: Policy) {
    this.#policy = policy;
    this.#isJudged = policy.onlyLabels === undefined && policy.exceptLabels.length === 0;
  }

  /** Refuses an operation that may not be done, whatever its container, and a container that may not be made. */
  async admit(operation: KnownOperation): Promise<void> {
    const { name, mutates, acts } = operationTraits(operation.case);
    this.#operation = name;
    if ((mutates || acts) && this.#policy.readOnly) {
      throw this.#refusal("read_only", `${name}, or any other change`);
    }
    this.#admitName(name);
    if (processOf(operation)?.privileged === true && this.#policy.create.privileged === "deny") {
      throw this.#refusal("create.privileged", "a privileged process");
    }
    if (operation.case === "createContainer") {
      const { spec, start } = operation.value;
      if (start) this.#admitName(operationTraits("startContainer").name);
      const broken = await brokenCreateRule(this.#policy.create, spec);
      if (broken !== undefined) throw this.#refusal(broken.rule, broken.what);
      this.#judgeLabels(spec.labels, "a container with these labels");
    }
    this.#isAdmitted = true;
  }

  /** Refuses a container that may not be touched, by its labels as the engine says them. */
  judge({ id, name, labels = {} }: EngineContainer): void {
    this.#judgeLabels(labels, `${this.#operation} of container ${name}`, {
      container_id: id,
      container_name: name,
    });
  }

  /** Those containers that may be touched; the others are left out without a word. */
  permitted(containers: readonly EngineContainer[]): EngineContainer[] {
    this.#isJudged = true;
    return containers.filter(({ labels = {} }) => this.#brokenLabelRule(labels) === undefined);
  }

  /** Refuses what nobody has asked about, so that an operation that forgets to is refused rather than done. */
  requireVerdict(): void {
    if (this.#isAdmitted && this.#isJudged) return;
    throw this.#refusal(this.#isAdmitted ? "containers" : "default", "what no rule was asked about");
  }

  #admitName(name: string): void {
    const verdict = this.#policy.operations.get(name);
    if ((verdict ?? this.#policy.default) === "allow") return;
    throw this.#refusal(verdict === undefined ? "default" : `operations.${name}`, name);
  }

  #judgeLabels(labels: Labels, what: string, metadata: Labels = {}): void {
    const rule = this.#brokenLabelRule(labels);
    if (rule !== undefined) throw this.#refusal(rule, what, metadata);
    this.#isJudged = true;
  }

  #brokenLabelRule(labels: Labels): string | undefined {
    const { exceptLabels, onlyLabels } = this.#policy;
    const mayBeMore = exceptLabels.length > 0 && Object.keys(labels).length >= maxLabels;
    if (mayBeMore || exceptLabels.some((selector) => carries(labels, selector))) {
      return "containers.except_labels";
    }
    return onlyLabels?.some((selector) => carries(labels, selector)) === false
      ? "containers.only_labels"
      : undefined;
  }

  #refusal(rule: string, what: string, metadata: Labels = {}): FleetError {
    return new FleetError(
      "DENIED_BY_HOST_POLICY",
      `the policy of this host does not allow ${what} (rule ${rule})`,
      {
        metadata: { rule, operation: this.#operation, ...metadata },
      },
    );
  }
}

/** What an operation runs in a container. Undefined: nothing. */
function processOf(operation: KnownOperation): ExecSpec | undefined {
  if (operation.case === "runExec") return operation.value.exec;
  return operation.case === "openProcess" ? operation.value.process : undefined;
}

function carries(labels: Labels, { key, value }: LabelSelector): boolean {
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
}
