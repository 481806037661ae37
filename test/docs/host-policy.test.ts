import assert from "node:assert/strict";
import { parsePolicy } from "../../src/agent/execution/policy/parse-policy.ts";
import { operationNames } from "../../src/rpc/operation-traits.ts";
import { fencedBlocks, readPage } from "./markdown.ts";

describe("docs/host-policy.md", () => {
  const examples = fencedBlocks(readPage("docs/host-policy.md")).filter(
    ({ language }) => language === "yaml",
  );

  it("policy: has examples that an agent takes", () => {
    assert.equal(examples.length, 2);
    for (const { text } of examples) parsePolicy(text);
  });

  it("policy: shows every operation and every rule that there is", () => {
    const { create, exceptLabels, onlyLabels, operations } = parsePolicy(examples[0]?.text ?? "");
    assert.deepEqual([...operations.keys()].toSorted(), [...operationNames].toSorted());
    assert.ok(exceptLabels.length > 0 && onlyLabels !== undefined && create.images !== undefined);
    assert.deepEqual([create.privileged, create.hostNetwork], ["deny", "deny"]);
    assert.ok(Array.isArray(create.bindMounts) && Array.isArray(create.publishedPorts));
    assert.equal(parsePolicy(examples[1]?.text ?? "").readOnly, true);
  });
});
