import { Code, ConnectError } from "@connectrpc/connect";
import type { Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { Clock } from "../resilience/clock.ts";
import { callerKey, peerAddressKey } from "./caller.ts";

/**
 * Writes one debug line a call when it has ended: method, code, duration, caller, address. Never what its messages
 * hold. To be the outermost interceptor.
 */
export function createLogInterceptor(logger: Logger, clock: Clock): Interceptor {
  return (next) => async (request) => {
    const begun = clock.monotonic();
    const log = (code: string): void => {
      if (!logger.isLevelEnabled("debug")) return;
      const line = {
        rpc: `${request.service.typeName}/${request.method.name}`,
        code,
        durationMs: Math.round((clock.monotonic() - begun) * 1000) / 1000,
        caller: request.contextValues.get(callerKey)?.name,
        peer: request.contextValues.get(peerAddressKey),
      };
      logger.debug(line, "call ended");
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: logged(response.message, log) };
      log("OK");
      return response;
    } catch (error) {
      log(codeOf(error));
      throw error;
    }
  };
}

async function* logged<Item>(items: AsyncIterable<Item>, log: (code: string) => void) {
  // What stays when neither the end nor an error is reached: whoever reads the stream stopped.
  let code = nameOf(Code.Canceled);
  try {
    yield* items;
    code = "OK";
  } catch (error) {
    code = codeOf(error);
    throw error;
  } finally {
    log(code);
  }
}

function codeOf(error: unknown): string {
  return nameOf(ConnectError.from(error).code);
}

function nameOf(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
