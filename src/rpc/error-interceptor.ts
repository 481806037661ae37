import type { Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { connectErrorFrom } from "./connect-error.ts";

/**
 * Turns whatever a call ends with into what its caller may see; see `connectErrorFrom`. To be the outermost
 * interceptor but the log.
 */
export function createErrorInterceptor(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const rpc = `${request.service.typeName}/${request.method.name}`;
    const translate = (error: unknown) => connectErrorFrom(error, logger.child({ rpc }), request.signal);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: translated(response.message, translate) } : response;
    } catch (error) {
      throw translate(error);
    }
  };
}

async function* translated<Item>(items: AsyncIterable<Item>, translate: (error: unknown) => Error) {
  try {
    yield* items;
  } catch (error) {
    throw translate(error);
  }
}
