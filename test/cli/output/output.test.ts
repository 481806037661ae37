import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { containerPorts, cut } from "../../../src/cli/output/container-text.ts";
import { escapeJson, escapeText } from "../../../src/cli/output/escape.ts";
import { parseEngineJson } from "../../../src/cli/output/json.ts";
import { createPaint } from "../../../src/cli/output/paint.ts";
import { formatTable } from "../../../src/cli/output/table.ts";
import { durationInWords, measuredInWords } from "../../../src/cli/output/times.ts";
import { PortSchema } from "../../../src/gen/fairlead/container/v1/container_pb.js";

// What a terminal obeys, and what turns the direction of text.
const unsafe = /[\p{Cc}\p{Bidi_Control}]/u;

describe("what the command line prints", () => {
  it("V03 text of others reaches the terminal without anything that it would obey", () => {
    assert.equal(
      escapeText("a\u001b[31mred\u0007\n\u009b1mb\u202Etxt.exe\u2028"),
      "a\\x1b[31mred\\x07\\n\\x9b1mb\\u202etxt.exe\\u2028",
    );
    assert.equal(escapeText("\u{1F433} größe 容器"), "\u{1F433} größe 容器");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.doesNotMatch(escapeText(text), unsafe);
      }),
    );
  });

  it("V03 every character that a terminal may obey, or that makes one name look like another, is escaped", () => {
    const obeyed = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Surrogate}\uFEFF]/u;
    for (let code = 0; code <= 0xffff; code += 1) {
      const character = String.fromCharCode(code);
      assert.equal(escapeText(character) !== character, obeyed.test(character), code.toString(16));
    }
  });

  it("V03 JSON is fit for a terminal too, and means the same", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        const text = escapeJson(JSON.stringify(value));
        assert.doesNotMatch(text, unsafe);
        assert.equal(JSON.stringify(JSON.parse(text)), JSON.stringify(value));
      }),
    );
  });

  it("aligns columns by what a terminal shows: wide characters, marks and colours", () => {
    const paint = createPaint(true);
    const table = formatTable(
      ["NAME", "STATE"],
      [
        ["容器", paint("good", "on")],
        ["e\u0301tude", "off"],
        ["a", ""],
      ],
    );
    assert.equal(table, "NAME    STATE\n容器    \u001b[32mon\u001b[39m\ne\u0301tude   off\na\n");
  });

  it("cuts nothing, however long a cell is, and ends no line with a space", () => {
    const long = "x".repeat(500);
    assert.equal(formatTable(["A", "B"], [[long, "b"]]), `A${" ".repeat(502)}B\n${long}   b\n`);
    assert.equal(formatTable(["A", "B"], []), "A   B\n");
  });

  it("tells durations in docker's words", () => {
    const words: readonly (readonly [number, string])[] = [
      [-5, "Less than a second"],
      [0.5, "Less than a second"],
      [1, "1 second"],
      [59, "59 seconds"],
      [60, "About a minute"],
      [150, "2 minutes"],
      [3_600, "About an hour"],
      [2 * 3_600, "2 hours"],
      [47 * 3_600, "47 hours"],
      [3 * 86_400, "3 days"],
      [15 * 86_400, "2 weeks"],
      [70 * 86_400, "2 months"],
      [900 * 86_400, "2 years"],
    ];
    for (const [seconds, text] of words) {
      assert.equal(durationInWords(seconds * 1_000), text);
    }
    assert.deepEqual([12, 1_540, 125_000].map(measuredInWords), ["12 ms", "1.5 s", "2 minutes"]);
  });

  it("shows ports as docker does, neighbours as one range", () => {
    assert.equal(containerPorts([]), "");
    assert.equal(containerPorts([port(443), port(80), port(81)]), "80-81/tcp, 443/tcp");
    assert.equal(
      containerPorts([
        port(81, 8081, "0.0.0.0"),
        port(80, 8080, "0.0.0.0"),
        port(80, 8080, "::"),
        port(53, 0, "", "udp"),
      ]),
      "0.0.0.0:8080-8081->80-81/tcp, [::]:8080->80/tcp, 53/udp",
    );
    assert.equal(containerPorts([port(80, 1, "\u001b[2J")]), "\\x1b[2J:1->80/tcp");
  });

  it("cuts between characters", () => {
    assert.equal(cut("\u{1F433}\u{1F433}\u{1F433}", 2), "\u{1F433}…");
    assert.equal(cut("ab", 2), "ab");
  });

  it("keeps every digit of an engine's numbers", () => {
    const text = '{"Memory":9223372036854775807,"Ratio":0.5,"Small":-1}';
    assert.equal(JSON.stringify(parseEngineJson(text)), text);
  });
});

function port(containerPort: number, hostPort = 0, hostIp = "", protocol = "tcp") {
  return create(PortSchema, { containerPort, hostPort, hostIp, protocol });
}
