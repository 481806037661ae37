import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type RegistrationToken,
  RegistrationTokenSchema,
  RegistrationTokenState,
} from "../../gen/fairlead/registration/v1/registration_token_pb.js";
import {
  type ListRegistrationTokensRequest,
  ListRegistrationTokensRequestSchema,
  type RegistrationTokenService,
} from "../../gen/fairlead/registration/v1/registration_token_service_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TokenRecord } from "../../storage/records.ts";
import type { RegistrationTokens } from "../enrolment/registration-tokens.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { actorOf, requireWholeFleet } from "./calling.ts";
import { msOrUnset } from "./durations.ts";
import { readPage } from "./page.ts";
import { timestampOrUnset } from "./timestamps.ts";

/** What the registration token service needs. */
export interface RegistrationTokenServiceParts {
  readonly tokens: Pick<RegistrationTokens, "create" | "list" | "revoke">;
  readonly inventory: Pick<FleetInventory, "requireHost">;
  readonly clock: Clock;
}

/** Keeps the tokens that allow agents to enrol. */
export function createRegistrationTokenService(
  parts: RegistrationTokenServiceParts,
): ServiceImpl<typeof RegistrationTokenService> {
  const { tokens, clock, inventory } = parts;
  return {
    async createRegistrationToken({ description, lifetime, maxUses, host }, { values }) {
      requireWholeFleet(values);
      const { name, address, keyId } = actorOf(values);
      const { record, token } = await tokens.create({
        description,
        lifetimeMs: msOrUnset(lifetime),
        maxUses: maxUses === 0 ? undefined : maxUses,
        createdBy: name,
        address,
        keyId,
        host: host === "" ? undefined : inventory.requireHost(host),
      });
      return { registrationToken: tokenMessage(record, clock.now()), token };
    },
    listRegistrationTokens(request, { values }) {
      requireWholeFleet(values);
      return listTokens(parts, request);
    },
    async revokeRegistrationToken({ id }, { values }) {
      requireWholeFleet(values);
      const record = await tokens.revoke(id, actorOf(values));
      return { registrationToken: tokenMessage(record, clock.now()) };
    },
  };
}

async function listTokens(
  { tokens, clock }: RegistrationTokenServiceParts,
  request: ListRegistrationTokensRequest,
) {
  const page = await readPage<
    typeof ListRegistrationTokensRequestSchema,
    TokenRecord,
    { createTime: number; id: string }
  >(ListRegistrationTokensRequestSchema, request, {
    fields: { createTime: "number", id: "string" },
    position: ({ createTime, id }) => ({ createTime, id }),
    read: (before, limit) => tokens.list(before, limit),
  });
  const now = clock.now();
  return {
    registrationTokens: page.items.map((record) => tokenMessage(record, now)),
    nextPageToken: page.nextPageToken,
  };
}

function tokenMessage(record: TokenRecord, now: number): RegistrationToken {
  return create(RegistrationTokenSchema, {
    id: record.id,
    description: record.description,
    createdBy: record.createdBy,
    createTime: timestampFromMs(record.createTime),
    expireTime: timestampFromMs(record.expireTime),
    maxUses: record.maxUses,
    useCount: record.useCount,
    revokeTime: timestampOrUnset(record.revokeTime),
    hostId: record.hostId ?? "",
    state: stateOf(record, now),
  });
}

// What a person did outlasts what time did: a token that was revoked stays revoked after its end.
function stateOf({ revokeTime, useCount, maxUses, expireTime }: TokenRecord, now: number) {
  if (revokeTime !== undefined) {
    return RegistrationTokenState.REVOKED;
  }
  if (useCount >= maxUses) {
    return RegistrationTokenState.USED_UP;
  }
  return expireTime <= now ? RegistrationTokenState.EXPIRED : RegistrationTokenState.ACTIVE;
}
