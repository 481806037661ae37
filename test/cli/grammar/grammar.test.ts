import assert from "node:assert/strict";
import { InvalidArgumentError } from "commander";
import fc from "fast-check";
import { parseContainer } from "../../../src/cli/grammar/container-reference.ts";
import { containerFilterFrom, parseContainerFilter } from "../../../src/cli/grammar/container-filter.ts";
import { parseDuration } from "../../../src/cli/grammar/duration.ts";
import { parseEnvironmentText } from "../../../src/cli/grammar/environment-file.ts";
import { eventFilterFrom, parseEventFilter } from "../../../src/cli/grammar/event-filter.ts";
import { parseKeyValue } from "../../../src/cli/grammar/key-value.ts";
import { parseMount, parseTmpfs, parseVolume } from "../../../src/cli/grammar/mount.ts";
import { parseCpus, wholeNumber } from "../../../src/cli/grammar/number.ts";
import { parsePublish } from "../../../src/cli/grammar/port.ts";
import { parseRestartPolicy } from "../../../src/cli/grammar/restart-policy.ts";
import { parseSize } from "../../../src/cli/grammar/size.ts";

interface Case {
  readonly parse: (text: string) => unknown;
  readonly good: Readonly<Record<string, unknown>>;
  readonly bad: readonly string[];
}

const bind = 1;
const volume = 2;
const tmpfs = 3;
const [tcp, udp] = [1, 2];
const port = (containerPort: number, hostPort = 0, hostIp = "", protocol = tcp) => ({
  hostIp,
  hostPort,
  containerPort,
  protocol,
});
const mount = (type: number, source: string, target: string, readOnly = false) => ({
  type,
  source,
  target,
  readOnly,
});

const grammars: Readonly<Record<string, Case>> = {
  "a size": {
    parse: parseSize,
    good: {
      "512m": 512n << 20n,
      "1g": 1n << 30n,
      "1.5G": 3n << 29n,
      "64kb": 65_536n,
      "2GiB": 2n << 30n,
      "1048576": 1_048_576n,
      "10b": 10n,
      "0": 0n,
    },
    bad: ["", "m", "-1m", "1x", "1 2m", "1e3", "0x10", "512mm", "١m"],
  },
  "a duration": {
    parse: parseDuration,
    good: {
      "30s": 30_000,
      "1m30s": 90_000,
      "500ms": 500,
      "1.5h": 5_400_000,
      "7d": 604_800_000,
      "10": 10_000,
      "0s": 0,
    },
    bad: ["", "s", "-1s", "1x", "1s ", "1sm", "1 m", "400d", "1e3s"],
  },
  "a port to publish": {
    parse: parsePublish,
    good: {
      "80": [port(80)],
      "8080:80": [port(80, 8080)],
      "8080:80/udp": [port(80, 8080, "", udp)],
      "8080:80/TCP": [port(80, 8080)],
      "127.0.0.1:8080:80": [port(80, 8080, "127.0.0.1")],
      "127.0.0.1::80": [port(80, 0, "127.0.0.1")],
      "[::1]:8080:80": [port(80, 8080, "::1")],
      "8080-8081:80-81": [port(80, 8080), port(81, 8081)],
      "80-81": [port(80), port(81)],
      ":80": [port(80)],
    },
    bad: [
      "",
      "0",
      "65536",
      "80:",
      "a:80",
      "1:2:3:4",
      "80/icmp",
      "80/constructor",
      "8080-8082:80-81",
      "81-80",
      "300.1.1.1:1:2",
      "::1:80:80",
    ],
  },
  "a volume": {
    parse: parseVolume,
    good: {
      "/srv:/data": mount(bind, "/srv", "/data"),
      "/srv:/data:ro": mount(bind, "/srv", "/data", true),
      "db:/var/lib/db:rw": mount(volume, "db", "/var/lib/db"),
      "/cache": mount(volume, "", "/cache"),
    },
    bad: ["", "db", "./here:/data", "~/here:/data", "db:data", "a:/b:c:/d", "db:/data:rx"],
  },
  "a mount": {
    parse: parseMount,
    good: {
      "type=bind,source=/srv,target=/data,readonly": mount(bind, "/srv", "/data", true),
      "type=bind,src=/srv,dst=/data,ro=false": mount(bind, "/srv", "/data"),
      "source=db,destination=/data": mount(volume, "db", "/data"),
      "type=tmpfs,target=/run": mount(tmpfs, "", "/run"),
    },
    bad: [
      "",
      "type=bind,target=/data",
      "type=npipe,target=/x",
      "type=constructor,target=/x",
      "type=tmpfs,source=/a,target=/x",
      "target=x",
      "size=1",
    ],
  },
  "a tmpfs": { parse: parseTmpfs, good: { "/run": mount(tmpfs, "", "/run") }, bad: ["", "run"] },
  "a restart policy": {
    parse: parseRestartPolicy,
    good: {
      no: { mode: 1, maxRetries: 0 },
      always: { mode: 2, maxRetries: 0 },
      "unless-stopped": { mode: 3, maxRetries: 0 },
      "on-failure": { mode: 4, maxRetries: 0 },
      "on-failure:5": { mode: 4, maxRetries: 5 },
    },
    bad: ["", "never", "constructor", "always:3", "on-failure:", "on-failure:x", "toString"],
  },
  "a number of processors": {
    parse: parseCpus,
    good: { "1.5": 1_500, ".25": 250, "2": 2_000, "0.001": 1 },
    bad: ["", "0", "-1", "1,5", "x", "."],
  },
  "a whole number": {
    parse: wholeNumber(1, 10),
    good: { "1": 1, "10": 10 },
    bad: ["", "0", "11", "1.5", "-1", "1e1", " 1"],
  },
  "a key and a value": {
    parse: parseKeyValue,
    good: { "a=b": ["a", "b"], "a=": ["a", ""], a: ["a", undefined], "a=b=c": ["a", "b=c"] },
    bad: ["", "=b"],
  },
  "a container": {
    parse: (text) => parseContainer(text),
    good: {
      web: { host: "", container: "web" },
      "web-1/web": { host: "web-1", container: "web" },
      "/web": { host: "", container: "web" },
    },
    bad: ["", "/", "web-1/"],
  },
  "a container filter": {
    parse: parseContainerFilter,
    good: {
      "state=exited": ["state", "exited"],
      "label=a=b": ["label", "a=b"],
      "status=running": ["status", "running"],
    },
    bad: ["", "state", "state=", "state=constructor", "size=1", "constructor=1"],
  },
  "an event filter": {
    parse: parseEventFilter,
    good: { "type=container_started": ["type", "container_started"], "host=web-1": ["host", "web-1"] },
    bad: ["", "type=", "type=nothing", "actor=me", "type=con"],
  },
};

describe("the grammar of flags", () => {
  for (const [name, { parse, good, bad }] of Object.entries(grammars)) {
    it(`reads ${name} as docker does`, () => {
      for (const [text, value] of Object.entries(good)) {
        assert.deepEqual(parse(text), value, text);
      }
    });

    it(`refuses what is not ${name}, and says what is`, () => {
      for (const text of bad) {
        assert.throws(() => parse(text), InvalidArgumentError, JSON.stringify(text));
      }
    });

    it(`reads or refuses anything as ${name}, and never breaks`, () => {
      const characters = "0123456789abmsk:/=,.-[]% \u0661\u001b";
      const odd = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...characters) }));
      fc.assert(
        fc.property(odd, (text) => {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof InvalidArgumentError, String(error));
          }
        }),
      );
    });
  }

  it("reads every port that it can write", () => {
    const number = fc.integer({ min: 1, max: 65_535 });
    fc.assert(
      fc.property(number, number, fc.ipV4(), (inside, outside, ip) => {
        assert.deepEqual(parsePublish(`${ip}:${outside}:${inside}/udp`), [port(inside, outside, ip, udp)]);
      }),
    );
  });

  it("reads every duration in parts as their sum", () => {
    const count = fc.integer({ min: 0, max: 999 });
    fc.assert(
      fc.property(count, count, count, count, (hours, minutes, seconds, ms) => {
        const sum = hours * 3_600_000 + minutes * 60_000 + seconds * 1_000 + ms;
        assert.equal(parseDuration(`${hours}h${minutes}m${seconds}s${ms}ms`), sum);
      }),
    );
  });

  it("takes the host from the shorthand or from --host, and refuses two that differ", () => {
    assert.deepEqual(parseContainer("web", "web-1"), { host: "web-1", container: "web" });
    assert.deepEqual(parseContainer("web-1/web", "web-1"), { host: "web-1", container: "web" });
    assert.throws(() => parseContainer("web-2/web", "web-1"), InvalidArgumentError);
  });

  it("reads docker's environment files: comments, empty lines, names alone, values as they stand", () => {
    const text = '\uFEFFA=1\r\n# no\n\n  B=two words\nC="quoted"\nD\nE=\n';
    assert.deepEqual(parseEnvironmentText(text), [
      ["A", "1"],
      ["B", "two words"],
      ["C", '"quoted"'],
      ["D", undefined],
      ["E", ""],
    ]);
    assert.throws(() => parseEnvironmentText("A B=1"), InvalidArgumentError);
  });

  it("joins filters: values of one key are alternatives, and a key that allows one is given once", () => {
    const pairs = ["state=exited", "status=dead", "host=web-1", "label=a", "name=shop"].map(
      parseContainerFilter,
    );
    assert.deepEqual(containerFilterFrom(pairs), {
      hosts: ["web-1"],
      states: [6, 7],
      labels: ["a"],
      nameContains: "shop",
      image: "",
    });
    assert.throws(() => containerFilterFrom([...pairs, ["name", "other"]]), InvalidArgumentError);
  });

  it("reads a type of event in any spelling, and a family of them by its first word", () => {
    assert.deepEqual(typesOf("container_started"), [21]);
    assert.deepEqual(typesOf("Container-Started"), [21]);
    assert.deepEqual(typesOf("EVENT_TYPE_CONTAINER_STARTED"), [21]);
    const hosts = typesOf("host");
    assert.ok([6, 7, 8, 9].every((type) => hosts.includes(type)));
    assert.ok(!hosts.includes(21));
  });
});

function typesOf(text: string) {
  return eventFilterFrom([["type", text]]).types;
}
