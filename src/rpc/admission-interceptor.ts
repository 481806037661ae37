import type { Interceptor } from "@connectrpc/connect";
import { callerOf, refusalKey } from "./caller.ts";
import { answerUntil } from "./endable-stream.ts";

/**
 * Ends a call that was refused at the door with its reason, here, so that each protocol says it in its own way. A stream
 * ends when its caller may no longer call; a call with one answer is left to finish.
 */
export const admissionInterceptor: Interceptor = (next) => (request) => {
  const refusal = request.contextValues.get(refusalKey);
  if (refusal !== undefined) throw refusal.reason;
  const caller = callerOf(request.contextValues);
  return request.stream && caller.onEnd !== undefined
    ? answerUntil(request, next, (end) => caller.onEnd?.(end))
    : next(request);
};
