import assert from "node:assert/strict";
import { FilesystemChange_Kind } from "../../src/gen/fairlead/container/v1/filesystem_change_pb.js";
import { type Answers, closeApis, fairlead } from "./command-line.ts";

const { ADDED, DELETED, MODIFIED } = FilesystemChange_Kind;

describe("looking into containers from the command line", () => {
  afterEach(closeApis);

  it("O15 top prints what ps tells as a table, and hands its options over", async () => {
    const asked: unknown[] = [];
    const answers: Answers = {
      containers: {
        listProcesses({ container, host, psOptions }) {
          asked.push([host, container, psOptions]);
          return {
            table: {
              titles: ["PID", "CMD"],
              processes: [{ values: ["1", "sleep 600"] }, { values: ["4242", "evil\u001b[2J"] }],
            },
          };
        },
      },
    };
    const { code, stdout } = await fairlead(answers, ["top", "web-1/web", "-o", "pid,cmd", "--json"]);
    assert.equal(code, 0);
    assert.deepEqual(
      asked,
      [["web-1", "web", "-o pid,cmd --json"]],
      "what comes after the container is for ps",
    );
    assert.equal(stdout, "PID    CMD\n1      sleep 600\n4242   evil\\x1b[2J\n");
    const json = await fairlead(answers, ["top", "--json", "web"]);
    assert.deepEqual(JSON.parse(json.stdout).table.processes[0], { values: ["1", "sleep 600"] });
  });

  it("O15 diff prints a letter and a path for each change, as docker does", async () => {
    const answers: Answers = {
      containers: {
        listChanges: () => ({
          changes: {
            changes: [
              { path: "/bin", kind: MODIFIED },
              { path: "/bin/false", kind: DELETED },
              { path: "/made\n", kind: ADDED },
            ],
          },
        }),
      },
    };
    const { code, stdout } = await fairlead(answers, ["diff", "web"]);
    assert.deepEqual([code, stdout], [0, "C /bin\nD /bin/false\nA /made\\n\n"]);
    const json = await fairlead(answers, ["diff", "--json", "web"]);
    assert.deepEqual(JSON.parse(json.stdout).changes[1], { path: "/bin/false", kind: "KIND_DELETED" });
  });
});
