import assert from "node:assert/strict";
import { oidcConfigFrom } from "../../src/bin/oidc-options.ts";

describe("the settings of an OpenID Connect issuer", () => {
  it("are none, or name at least an issuer and an audience", () => {
    const [oidcIssuer, oidcAudience] = ["https://issuer.example", "fairlead"];
    assert.equal(oidcConfigFrom({}), undefined);
    assert.deepEqual(oidcConfigFrom({ oidcIssuer, oidcAudience }), {
      issuer: oidcIssuer,
      audience: oidcAudience,
    });
    assert.deepEqual(oidcConfigFrom({ oidcIssuer, oidcAudience, oidcRolesClaim: "groups" }), {
      issuer: oidcIssuer,
      audience: oidcAudience,
      rolesClaim: "groups",
    });
    for (const half of [{ oidcIssuer }, { oidcAudience }, { oidcRolesClaim: "groups" }]) {
      assert.throws(() => oidcConfigFrom(half), /go together/);
    }
  });
});
