import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import { isDecodeFailure } from "./decode-failure.ts";
import { violationsOf } from "./message-validator.ts";

/**
 * Checks every inbound message against the rules of its schema, before a handler sees it. A message that breaks some
 * ends the call with `INVALID_ARGUMENT` that names every field at fault.
 */
export const validationInterceptor: Interceptor = (next) => async (request) => {
  if (request.stream) {
    return next({ ...request, message: checked(request.method.input, request.message) });
  }
  check(request.method.input, request.message);
  return next(request);
};

async function* checked<Desc extends DescMessage>(schema: Desc, messages: AsyncIterable<MessageShape<Desc>>) {
  try {
    for await (const message of messages) {
      check(schema, message);
      yield message;
    }
  } catch (error) {
    if (isDecodeFailure(error)) throw new FleetError("INVALID_ARGUMENT", error.rawMessage);
    throw error;
  }
}

function check<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  const violations = violationsOf(schema, message);
  if (violations.length === 0) return;
  const faults = violations.map(({ field, description }) =>
    field === "" ? description : `${field}: ${description}`,
  );
  throw new FleetError("INVALID_ARGUMENT", faults.join("; "), { violations });
}
