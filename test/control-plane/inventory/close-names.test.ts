import assert from "node:assert/strict";
import { closeNames } from "../../../src/control-plane/inventory/close-names.ts";

describe("close names", () => {
  const fleet = ["web-1", "web-2", "web-3", "web-4", "database", "Edge", "backup-database"];

  it("O18 what begins as typed comes before what contains it, and that before what is a few letters off", () => {
    assert.deepEqual(closeNames("database", fleet), ["database"]);
    assert.deepEqual(closeNames("base", fleet), ["backup-database", "database"]);
    assert.deepEqual(closeNames("datbaase", fleet), ["database"]);
    assert.deepEqual(closeNames("edge", fleet), ["Edge"]);
  });

  it("O18 at most three are told, and none where nothing is like it", () => {
    assert.deepEqual(closeNames("web", fleet), ["web-1", "web-2", "web-3"]);
    assert.deepEqual(closeNames("production", fleet), []);
    assert.deepEqual(closeNames("", fleet), []);
    assert.deepEqual(closeNames("w".repeat(200), ["w".repeat(200)]), []);
  });
});
