import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import {
  type ListEngineBansRequest,
  ListEngineBansRequestSchema,
} from "../../gen/fairlead/host/v1/host_service_pb.js";
import type { EngineBanRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import { readPage } from "./page.ts";

/** What the calls about banned engines need. */
export interface EngineBanParts {
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "bans" | "liftBan"> };
  readonly events: Pick<EventLog, "make">;
}

/** A page of the engines that may not be enrolled. */
export async function listEngineBans({ storage }: EngineBanParts, request: ListEngineBansRequest) {
  const page = await readPage<typeof ListEngineBansRequestSchema, EngineBanRecord, { engineId: string }>(
    ListEngineBansRequestSchema,
    request,
    {
      fields: { engineId: "string" },
      position: ({ engineId }) => ({ engineId }),
      read: (after, limit) => storage.fleet.bans(after?.engineId, limit),
    },
  );
  return { engineBans: page.items.map(banMessage), nextPageToken: page.nextPageToken };
}

/** Lets an engine be enrolled again. Rejects with ENGINE_NOT_BANNED. */
export async function liftEngineBan({ storage, events }: EngineBanParts, engineId: string, actor: Actor) {
  const lifted = await storage.fleet.liftBan(engineId, (ban) => [
    events.make({
      type: EventType.ENGINE_BAN_LIFTED,
      hostName: ban.hostName,
      ...doneBy(actor, { engine_id: engineId, banned_by: ban.bannedBy }),
    }),
  ]);
  if (lifted === undefined) {
    throw new FleetError("ENGINE_NOT_BANNED", `the engine ${JSON.stringify(engineId)} is not banned`, {
      metadata: { engine_id: engineId },
    });
  }
  return { engineBan: banMessage(lifted) };
}

function banMessage({ engineId, hostName, bannedBy, banTime }: EngineBanRecord) {
  return { engineId, hostName, bannedBy, banTime: timestampFromMs(banTime) };
}
