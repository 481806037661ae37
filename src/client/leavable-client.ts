import type { DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { linkSignal } from "../resilience/signals.ts";

type StreamMethod = (request: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/**
 * A client whose streams end when one leaves them: `break` out of a loop over a stream ends its call, and with it what the control plane
 * does for it. Connect's own clients leave that to the caller's signal, and a stream that nobody reads any more stays open.
 */
export function createLeavableClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  const client = createClient(service, transport) as Record<string, unknown>;
  for (const { localName, methodKind } of service.methods) {
    if (methodKind !== "server_streaming" && methodKind !== "bidi_streaming") continue;
    const call = client[localName] as StreamMethod;
    client[localName] = (request: unknown, options?: CallOptions) => leavable(call, request, options);
  }
  return client as Client<Service>;
}

function leavable(call: StreamMethod, request: unknown, options: CallOptions = {}): AsyncIterable<unknown> {
  const leaving = new AbortController();
  // Nothing is left on a signal that lives as long as the process when nobody reads the stream.
  const scope = linkSignal(options.signal ?? leaving.signal);
  const answers = call(request, { ...options, signal: scope.signal });
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* answers;
      } finally {
        scope.abort(new DOMException("the stream was left", "AbortError"));
        scope.release();
      }
    },
  };
}
