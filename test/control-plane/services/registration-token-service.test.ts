import assert from "node:assert/strict";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { toJsonString } from "@bufbuild/protobuf";
import { RegistrationTokenState } from "../../../src/gen/fairlead/registration/v1/registration_token_pb.js";
import { ListRegistrationTokensResponseSchema } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("the registration token service", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
  });

  afterEach(() => api.close());

  it("E01 a token lives 15 minutes and one use unless its creator says otherwise", async () => {
    const plain = await api.tokens.createRegistrationToken({});
    const lifetime = durationFromMs(86_400_000);
    const wide = await api.tokens.createRegistrationToken({ description: "rack 7", lifetime, maxUses: 40 });
    const lives = (response: typeof plain) =>
      timestampMs(response.registrationToken!.expireTime!) -
      timestampMs(response.registrationToken!.createTime!);
    assert.deepEqual([lives(plain), plain.registrationToken?.maxUses], [15 * 60_000, 1]);
    assert.deepEqual([lives(wide), wide.registrationToken?.maxUses], [86_400_000, 40]);
    assert.equal(wide.registrationToken?.description, "rack 7");
    assert.equal(wide.registrationToken?.createdBy, "tester");
    assert.match(plain.token, /^fl1\./);
  });

  it("E17 tokens are listed newest first, page by page, and their secret is in none of it", async () => {
    const secrets: string[] = [];
    for (let index = 1; index <= 5; index += 1) {
      const { token } = await api.tokens.createRegistrationToken({ description: `token ${index}` });
      secrets.push(token.split(".").at(-1)!);
      // Two of the same millisecond are told apart as well.
      api.clock.advance(index % 2);
    }
    const descriptions: string[] = [];
    let pageToken = "";
    do {
      const page = await api.tokens.listRegistrationTokens({ pageSize: 2, pageToken });
      descriptions.push(...page.registrationTokens.map(({ description }) => description));
      const text = toJsonString(ListRegistrationTokensResponseSchema, page);
      assert.deepEqual(
        secrets.filter((secret) => text.includes(secret)),
        [],
      );
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(descriptions.slice(0, 1), ["token 5"]);
    assert.deepEqual(descriptions.toSorted(), ["token 1", "token 2", "token 3", "token 4", "token 5"]);
  });

  it("E17 a token says whether it can be used: active, used up, expired or revoked", async () => {
    const createToken = async () => (await api.tokens.createRegistrationToken({})).registrationToken!;
    const stateOf = async (id: string) => {
      const { registrationTokens } = await api.tokens.listRegistrationTokens({});
      return registrationTokens.find((token) => token.id === id)?.state;
    };
    const left = await createToken();
    const revoked = await createToken();
    await api.addHost("alpha");
    const { registrationTokens } = await api.tokens.listRegistrationTokens({});
    const used = registrationTokens.find(({ useCount }) => useCount === 1)!;
    assert.equal(left.state, RegistrationTokenState.ACTIVE);
    assert.equal(used.state, RegistrationTokenState.USED_UP);
    const answer = await api.tokens.revokeRegistrationToken({ id: revoked.id });
    assert.equal(answer.registrationToken?.state, RegistrationTokenState.REVOKED);
    assert.deepEqual(answer.registrationToken.revokeTime, timestampFromMs(api.clock.now()));
    api.clock.advance(15 * 60_000 - 1);
    assert.equal(await stateOf(left.id), RegistrationTokenState.ACTIVE);
    api.clock.advance(1);
    assert.equal(await stateOf(left.id), RegistrationTokenState.EXPIRED);
    assert.equal(await stateOf(revoked.id), RegistrationTokenState.REVOKED);
    assert.equal(await stateOf(used.id), RegistrationTokenState.USED_UP);
  });

  it("E17 an unknown token cannot be revoked", async () => {
    const error = await failureOf(api.tokens.revokeRegistrationToken({ id: "nobody" }));
    assert.equal(error.reason, "TOKEN_NOT_FOUND");
  });
});
