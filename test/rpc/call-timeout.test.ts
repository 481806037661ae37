import assert from "node:assert/strict";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { shortenTimeout } from "../../src/rpc/call-timeout.ts";
import { closeApis, startApi } from "./api-harness.ts";
import { clientOf, transports } from "./callers.ts";

function shortened(name: string, value: string): string | null {
  const headers = new Headers({ [name]: value });
  shortenTimeout(headers);
  return headers.get(name);
}

describe("timeout of a call", () => {
  afterEach(closeApis);

  it("is shortened to what a timer can hold, and left alone otherwise", () => {
    for (const value of ["99999999H", "2147484S", "1000000M"]) {
      assert.equal(shortened("grpc-timeout", value), "2147483S", value);
    }
    for (const value of ["2147483S", "99999999m", "99999999u", "1n", "0H", "9999999999H", "soon"]) {
      assert.equal(shortened("grpc-timeout", value), value);
    }
    assert.equal(shortened("connect-timeout-ms", "9999999999"), "2147483647");
    for (const value of ["2147483647", "1", "-1", "99999999999"]) {
      assert.equal(shortened("connect-timeout-ms", value), value);
    }
  });

  it("V09 of hundreds of years does not end a call at once", async () => {
    const { url } = await startApi({ hosts: { getHost: () => ({ host: { name: "a" } }) } });
    for (const name of ["gRPC over HTTP/2", "Connect over HTTP/1.1"]) {
      const headers = { "grpc-timeout": "99999999H", "connect-timeout-ms": "9999999999" };
      const { host } = await clientOf(HostService, (transports[name] ?? assert.fail())(url)).getHost(
        { host: "a" },
        { headers },
      );
      assert.equal(host?.name, "a");
    }
  });
});
