import { create } from "@bufbuild/protobuf";
import type { Message } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import type { Clock } from "../resilience/clock.ts";
import { neverAborted } from "../resilience/signals.ts";
import { fleetErrorFrom } from "../rpc/connect-error.ts";
import { isRepeatable, retryDelayMs } from "./call-retry.ts";
import type { RetryPolicy } from "./call-retry.ts";

/** What every call of a client has in common. */
export interface CallSettings {
  /** For errors: where the control plane is. */
  readonly server: string;
  readonly apiKey: string | undefined;
  /** How long a unary call may take that does not say. */
  readonly timeoutMs: number | undefined;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
}

/** A call waits this much longer than its command may take, so that the command's own end arrives first. */
const answerMarginMs = 5_000;
const defaultTimeoutMs = 90_000;

/**
 * A transport on top of another that sends the API key, gives every unary call a deadline, repeats within it what is
 * safe to repeat, and lets no error out that is not a `FleetError`.
 */
export function createFleetTransport(inner: Transport, settings: CallSettings): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const message = create(method.input, input);
      const headers = withKey(header, settings.apiKey);
      const limitMs = timeoutMs ?? settings.timeoutMs ?? answerTimeoutMs(message);
      const attempts = isRepeatable(method, message) ? settings.retry.attempts : 1;
      return await repeat(settings, attempts, limitMs, signal, (leftMs) =>
        inner.unary(method, signal, leftMs, headers, message, contextValues),
      );
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const fail = (error: unknown) => clientError(error, settings.server, signal);
      const headers = withKey(header, settings.apiKey);
      try {
        const response = await inner.stream(method, signal, timeoutMs, headers, input, contextValues);
        return { ...response, message: translated(response.message, fail) };
      } catch (error) {
        throw fail(error);
      }
    },
  };
}

async function repeat<Answer>(
  { server, retry, clock, random }: CallSettings,
  attempts: number,
  limitMs: number,
  signal: AbortSignal | undefined,
  call: (leftMs: number) => Promise<Answer>,
): Promise<Answer> {
  const end = clock.monotonic() + limitMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(Math.max(1, Math.ceil(end - clock.monotonic())));
    } catch (error) {
      const failure = clientError(error, server, signal);
      const delayMs = retryDelayMs(failure, attempt, { ...retry, attempts }, random);
      if (delayMs === undefined || clock.monotonic() + delayMs >= end) {
        throw failure;
      }
      await clock.sleep(delayMs, signal ?? neverAborted).catch(() => {
        throw failure;
      });
    }
  }
}

async function* translated<Item>(items: AsyncIterable<Item>, fail: (error: unknown) => FleetError) {
  try {
    yield* items;
  } catch (error) {
    throw fail(error);
  }
}

function withKey(header: Parameters<Transport["unary"]>[3], apiKey: string | undefined): Headers {
  // The type of connect speaks of the browser's `HeadersInit`, which Node's own types do not name.
  const headers = new Headers(header as ConstructorParameters<typeof Headers>[0]);
  if (apiKey !== undefined) {
    headers.set("authorization", `Bearer ${apiKey}`);
  }
  return headers;
}

function answerTimeoutMs(message: Message): number {
  const { timeout, gracePeriod } = message as { timeout?: Duration; gracePeriod?: Duration };
  const graceMs = gracePeriod === undefined ? 0 : durationMs(gracePeriod);
  return graceMs + (timeout === undefined ? defaultTimeoutMs : durationMs(timeout) + answerMarginMs);
}

function clientError(error: unknown, server: string, signal: AbortSignal | undefined): FleetError {
  if (signal?.aborted === true && signal.reason instanceof FleetError) {
    return signal.reason;
  }
  if (signal?.aborted === true) {
    return fleetErrorFrom(error);
  }
  const details = { metadata: { server }, cause: error };
  const distrust = errorCode(error, certificateFault);
  if (distrust !== undefined) {
    const message = `the control plane at ${server} cannot be trusted (${distrust})`;
    return new FleetError("UNTRUSTED_SERVER", message, details);
  }
  const code = errorCode(error, connectionFault);
  return code === undefined
    ? fleetErrorFrom(error)
    : new FleetError(
        "SERVER_UNREACHABLE",
        `the control plane at ${server} cannot be reached (${code})`,
        details,
      );
}

// What the machine says of a connection, and HTTP/2 of a session that is gone.
const connectionFault = /^(E[A-Z]+|EAI_[A-Z]+|ERR_HTTP2_[A-Z_]+|ERR_SSL_[A-Z0-9_]+|HPE_[A-Z_]+)$/;
// https://nodejs.org/api/tls.html#x509-certificate-error-codes
const certificateFault =
  /^(.*CERT_.*|.*_CERT|UNABLE_TO_.*|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID)$/;

/** The first such code somewhere down the causes. */
function errorCode(error: unknown, form: RegExp): string | undefined {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1, current = current.cause) {
    const { code } = current as { code?: unknown };
    if (typeof code === "string" && form.test(code)) {
      return code;
    }
  }
  return undefined;
}
