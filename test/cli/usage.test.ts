import assert from "node:assert/strict";
import { closeApis, fairlead, fairleadAlone } from "./command-line.ts";

describe("the command line itself", () => {
  afterEach(closeApis);

  it("prints its version and its help, which ends well", async () => {
    assert.deepEqual(await fairleadAlone(["--version"]), { code: 0, stdout: "1.2.3\n", stderr: "" });
    for (const args of [[], ["--help"], ["help"]]) {
      const { code, stdout, stderr } = await fairleadAlone(args);
      assert.deepEqual([code, stderr], [0, ""], args.join(" "));
      assert.match(stdout, /Containers:\n {2}ps .*Examples:\n/s);
    }
  });

  for (const command of ["ps", "create", "stop", "token", "hosts", "events"]) {
    it(`teaches ${command} by examples`, async () => {
      const { code, stdout } = await fairleadAlone([command, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Examples:\n  fairlead ${command}`));
    });
  }

  it("suggests what may have been meant", async () => {
    const command = await fairleadAlone(["strat", "web"]);
    assert.deepEqual([command.code, command.stdout], [2, ""]);
    assert.equal(
      command.stderr,
      "fairlead: unknown command 'strat'\n  (Did you mean start?)\n  See `fairlead --help`.\n",
    );
    const option = await fairleadAlone(["rm", "--forec", "web"]);
    assert.match(
      option.stderr,
      /unknown option '--forec'\n {2}\(Did you mean --force\?\)\n {2}See `fairlead rm --help`/,
    );
  });

  const wrong: readonly (readonly string[])[] = [
    ["stop"],
    ["rename", "web"],
    ["ps", "--filter", "colour=red"],
    ["stop", "-t", "soon", "web"],
    ["stop", "web-1/web", "--host", "web-2"],
    ["start", "a", "b", "--request-id", "k"],
    ["token"],
    ["events", "--since-sequence", "x"],
    ["commands", "ls", "--state", "great"],
  ];
  for (const args of wrong) {
    it(`ends with 2 for \`${args.join(" ")}\`, and prints nothing on standard output`, async () => {
      const { code, stdout, stderr } = await fairlead({}, args);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.notEqual(stderr, "");
    });

    it(`tells programs about \`${args.join(" ")}\` in JSON`, async () => {
      const { code, stderr } = await fairlead({}, [...args, "--json"]);
      assert.equal(code, 2);
      assert.equal((JSON.parse(stderr) as { error: { reason: string } }).error.reason, "USAGE");
    });
  }

  it("V03 escapes what it was given wrongly", async () => {
    const { stderr } = await fairleadAlone(["\u001b[31mred"]);
    assert.match(stderr, /unknown command '\\x1b\[31mred'/);
  });

  it("takes --server and --json before the command, too, and a flag rather than the environment", async () => {
    const { code, stderr } = await fairlead({}, ["--server", "127.0.0.1:1", "--json", "hosts"]);
    assert.equal(code, 1);
    assert.match(stderr, /^\{"error":\{"reason":"SERVER_UNREACHABLE"/);
  });

  it("refuses an address that is none", async () => {
    const { code, stderr } = await fairleadAlone(["ps", "--server", "ftp://x"]);
    assert.equal(code, 1);
    assert.match(stderr, /"ftp:\/\/x" is not the address of a control plane.* \(INVALID_ARGUMENT\)/);
  });

  it("ends with 130 when the person ends it", async () => {
    const interruption = new AbortController();
    const answers = {
      hosts: {
        listHosts: () => {
          interruption.abort();
          return new Promise<never>(() => undefined);
        },
      },
    };
    const { code, stdout } = await fairlead(answers, ["hosts"], { signal: interruption.signal });
    assert.deepEqual([code, stdout], [130, ""]);
  });
});
