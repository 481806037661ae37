import { defineEntity, p } from "@mikro-orm/core";

/** One row that is rewritten to find out whether the database takes writes. */
export const WriteProbeEntity = defineEntity({
  name: "WriteProbe",
  tableName: "write_probe",
  properties: {
    id: p.integer().primary().autoincrement(false),
    count: p.bigint("number"),
  },
});
