import assert from "node:assert/strict";
import { parsePolicy } from "../../../../src/agent/execution/policy/parse-policy.ts";
import { openPolicy } from "../../../../src/agent/execution/policy/policy.ts";
import { policySummary } from "../../../../src/agent/execution/policy/policy-summary.ts";
import { FleetError } from "../../../../src/domain/errors.ts";
import { operationNames } from "../../../../src/rpc/operation-traits.ts";

const whole = `read_only: false
default: deny
operations:
  stop_container: allow
  remove_container: deny
containers:
  only_labels: [com.example.managed=true, team]
  except_labels:
    - com.example.critical
create:
  privileged: deny
  host_network: deny
  bind_mounts: [/srv/data, /var/log]
  images: ["registry.example.com/*", nginx:1.27]
  published_ports: [8000-8999/tcp, 443, 0]
`;

describe("the text of a policy", () => {
  it("policy: is read with every rule that there is", () => {
    assert.deepEqual(parsePolicy(whole), {
      readOnly: false,
      default: "deny",
      operations: new Map([
        ["stop_container", "allow"],
        ["remove_container", "deny"],
      ]),
      onlyLabels: [
        { key: "com.example.managed", value: "true" },
        { key: "team", value: undefined },
      ],
      exceptLabels: [{ key: "com.example.critical", value: undefined }],
      create: {
        privileged: "deny",
        hostNetwork: "deny",
        bindMounts: ["/srv/data", "/var/log"],
        images: ["registry.example.com/*", "nginx:1.27"],
        publishedPorts: [
          { first: 8000, last: 8999, protocol: "tcp" },
          { first: 443, last: 443, protocol: undefined },
          { first: 0, last: 0, protocol: undefined },
        ],
      },
    });
  });

  it("policy: leaves open what it does not speak of", () => {
    assert.deepEqual(parsePolicy("read_only: false\n"), openPolicy);
    const { operations, ...rest } = parsePolicy("operations: { remove_container: deny }\n");
    assert.deepEqual([...operations], [["remove_container", "deny"]]);
    assert.deepEqual({ ...rest, operations: new Map() }, openPolicy);
  });

  it("policy: is told in lines that name the rules as the file does, none longer than the schema takes", () => {
    assert.deepEqual(policySummary(parsePolicy(whole)), [
      "read_only: false",
      "default: deny",
      "operations.stop_container: allow",
      "operations.remove_container: deny",
      "containers.only_labels: com.example.managed=true, team",
      "containers.except_labels: com.example.critical",
      "create.privileged: deny",
      "create.host_network: deny",
      "create.bind_mounts: /srv/data, /var/log",
      "create.images: registry.example.com/*, nginx:1.27",
      "create.published_ports: 8000-8999/tcp, 443, 0",
    ]);
    const labels = Array.from({ length: 50 }, (_, index) => `${"é😀".repeat(100)}${index}`);
    const long = policySummary({
      ...openPolicy,
      exceptLabels: labels.map((key) => ({ key, value: undefined })),
      operations: new Map(operationNames.flatMap((name) => [[name.repeat(40), "deny"] as const])),
    });
    assert.ok(long.every((line) => line.length <= 256 && line.isWellFormed()));
    assert.ok(Buffer.byteLength(long.join("")) < 5000 && long.length <= 64);
    assert.equal(
      long.some((line) => line.endsWith("…")),
      true,
    );
  });

  const broken: Readonly<Record<string, readonly [text: string, line: number, words: RegExp]>> = {
    "a key that it does not know": [
      "read_only: true\nreadonly: true\n",
      2,
      /^readonly is not known.*read_only/,
    ],
    "a key further in": [
      "create:\n  privileged: deny\n  privilegd: deny\n",
      3,
      /^create\.privilegd is not known/,
    ],
    "an operation that there is not": [
      "operations:\n  open_exec: deny\n",
      2,
      new RegExp(`^operations\\.open_exec is not known here; known: ${operationNames.join(", ")}$`),
    ],
    "a word that is neither": ["default: maybe\n", 1, /^default must be allow or deny/],
    "a yes that is no truth value": ["read_only: yes\n", 1, /^read_only must be true or false/],
    "a key without a value": ["default: deny\ncreate:\n", 2, /^create must have keys below it: privileged/],
    "a value where keys belong": ["operations: deny\n", 1, /^operations must have keys/],
    "an empty list": ["containers:\n  only_labels: []\n", 2, /^containers\.only_labels is an empty list/],
    "a label without a key": [
      "containers:\n  except_labels:\n    - a\n    - =b\n",
      4,
      /except_labels\[1\] must be/,
    ],
    "a label that is no text": ["containers:\n  except_labels: [true]\n", 2, /\[0\] must be a text/],
    "a path that is not absolute": [
      "create:\n  bind_mounts: [srv]\n",
      2,
      /bind_mounts\[0\] must be an absolute/,
    ],
    "a path that leads back": ["create:\n  bind_mounts: [/srv/../etc]\n", 2, /bind_mounts\[0\]/],
    "a port that is none": [
      "create:\n  published_ports: [65536]\n",
      2,
      /published_ports\[0\] must be a port/,
    ],
    "a range that runs backwards": ["create:\n  published_ports: [9-8]\n", 2, /published_ports\[0\]/],
    "a range from any free port": ["create:\n  published_ports: [0-8]\n", 2, /published_ports\[0\]/],
    "one key twice": ["default: deny\ndefault: allow\n", 2, /unique/],
    "no YAML": ["read_only: true\n\tdefault: deny\n", 2, /./],
    "two documents": ["default: deny\n---\ndefault: allow\n", 2, /./],
    "an alias": ["operations: &a\n  stop_container: deny\ncreate: *a\n", 3, /^create must have keys/],
    "a tag": ["default: !secret deny\n", 1, /tag/],
    "nothing at all": ["", 1, /must have keys/],
    "nothing but a comment": ["# default: deny\n", 1, /must have keys/],
    "a list": ["- default\n", 1, /must have keys/],
  };
  for (const [what, [text, line, words]] of Object.entries(broken)) {
    it(`policy: ${what} is refused with its line`, () => {
      assert.throws(
        () => parsePolicy(text),
        (error: unknown) => {
          assert.ok(error instanceof FleetError && error.reason === "INVALID_ARGUMENT");
          const [, number, rest = ""] = /^line (\d+): ([^]*)$/.exec(error.message) ?? [];
          assert.equal(Number(number), line, error.message);
          assert.match(rest, words);
          return true;
        },
      );
    });
  }
});
