import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { skipBecause } from "../support/skip-because.ts";

const root = new URL("../../", import.meta.url);
const read = (name: string) =>
  JSON.parse(readFileSync(new URL(name, root), "utf8")) as Record<string, unknown>;

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

describe("dependencies", () => {
  const manifest = read("package.json");
  const packages = read("package-lock.json")["packages"] as Readonly<Record<string, Locked>>;
  const allowed = manifest["allowScripts"] as Readonly<Record<string, boolean>>;
  const withScripts = Object.entries(packages).flatMap(([path, { hasInstallScript, dev }]) =>
    hasInstallScript === true ? [{ name: path.replace(/^.*node_modules\//, ""), dev: dev === true }] : [],
  );

  it("V12 every package that would run something when it is installed is named, allowed or not", () => {
    assert.ok(withScripts.length > 0);
    assert.deepEqual(
      withScripts.filter(({ name }) => !(name in allowed)),
      [],
    );
  });

  it("V12 nothing that runs in production needs an install script", () => {
    assert.deepEqual(
      withScripts.filter(({ name, dev }) => !dev && allowed[name] !== false),
      [],
    );
  });

  it("V12 every dependency of the manifest is in the lockfile", () => {
    for (const group of ["dependencies", "devDependencies"]) {
      for (const name of Object.keys(manifest[group] as object)) {
        assert.ok(packages[`node_modules/${name}`], name);
      }
    }
  });

  it("V12 npm audit knows nothing of high severity, where it can be asked", function () {
    this.timeout(60_000);
    const found = audited(root);
    // No network, or a registry that keeps no advisories: of that no machine can be required. All else that goes wrong throws.
    if (typeof found === "string") skipBecause(this, found);
    assert.deepEqual([found["high"] ?? 0, found["critical"] ?? 0], [0, 0]);
  });

  it("V12 only npm's word that the registry cannot be asked excuses an audit", function () {
    this.timeout(60_000);
    assert.match(JSON.stringify(audited(root, "--registry=http://127.0.0.1:1/")), /ECONNREFUSED/);
    assert.throws(() => audited(new URL("test/security/", root), "--prefix=."), /ENOLOCK/);
  });
});

/** How many flaws of each severity npm knows of; in words why, where it could not ask the registry. Throws when anything else went wrong. */
function audited(folder: URL, ...options: readonly string[]): Readonly<Record<string, number>> | string {
  const patience = ["--fetch-retries=0", "--fetch-timeout=20000"];
  const { stdout, stderr } = spawnSync("npm", ["audit", "--omit=dev", "--json", ...patience, ...options], {
    cwd: folder,
    encoding: "utf8",
    timeout: 50_000,
  });
  const report = JSON.parse(stdout || "{}") as {
    readonly message?: string;
    readonly metadata?: { readonly vulnerabilities?: Readonly<Record<string, number>> };
  };
  const found = report.metadata?.vulnerabilities;
  if (found !== undefined) return found;
  if (stderr.includes("audit endpoint returned an error") && report.message) return report.message;
  throw new Error(`npm audit told nothing: ${stdout}${stderr}`);
}
