import assert from "node:assert/strict";
import {
  type ContainerUpdate,
  ContainerUpdateSchema,
} from "../../src/gen/fairlead/container/v1/container_update_pb.js";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RestartPolicy_Mode } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { type Answers, closeApis, fairlead } from "./command-line.ts";

describe("fairlead update", () => {
  afterEach(closeApis);

  const lines: Readonly<Record<string, MessageInitShape<typeof ContainerUpdateSchema>>> = {
    "-m 512m": { memoryBytes: 536_870_912n },
    "--memory 1g --cpus 1.5": { memoryBytes: 1_073_741_824n, milliCpus: 1_500 },
    "-c 512 --pids-limit 100": { cpuShares: 512, pids: 100 },
    "--pids-limit -1": { pids: 0 },
    "--restart on-failure:3": { restartPolicy: { mode: RestartPolicy_Mode.ON_FAILURE, maxRetries: 3 } },
    "--restart no": { restartPolicy: { mode: RestartPolicy_Mode.NO } },
  };
  for (const [flags, expected] of Object.entries(lines)) {
    it(`O04 update ${flags}`, async () => {
      const asked: [string, ContainerUpdate | undefined][] = [];
      const answers: Answers = {
        containers: {
          updateContainer({ host, container, update }) {
            asked.push([`${host}/${container}`, update]);
            return { changed: true };
          },
        },
      };
      const outcome = await fairlead(answers, ["update", ...flags.split(" "), "a/web", "b/web"]);
      assert.deepEqual(outcome, { code: 0, stdout: "a/web\nb/web\n", stderr: "" });
      const update = create(ContainerUpdateSchema, expected);
      assert.deepEqual(asked, [
        ["a/web", update],
        ["b/web", update],
      ]);
    });
  }

  it("O04 an update of nothing, and limits that are none, are faults of the line: nothing is asked", async () => {
    for (const [line, words] of [
      ["update web", /Provide one or more flags/],
      ["update --cpus many web", /number of processors/],
      ["update --cpu-shares 1 web", /from 2 to/],
      ["update --restart sometimes web", /unless-stopped/],
    ] as const) {
      const { code, stderr } = await fairlead({}, line.split(" "));
      assert.equal(code, 2, line);
      assert.match(stderr, words);
    }
  });
});
