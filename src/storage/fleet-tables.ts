/** The columns of agents and hosts, as the database has them: see the entities of the same names. */
export interface FleetTables {
  readonly agent: {
    readonly id: string;
    readonly host_id: string;
    readonly public_key: Uint8Array;
    readonly version: string;
    readonly session_epoch: number;
    readonly online: number;
    readonly connect_time: number | null;
    readonly last_seen_time: number | null;
    readonly instance_id: string | null;
    readonly journal_id: string | null;
    readonly token_id: string | null;
    readonly enrol_time: number | null;
  };
  readonly host: {
    readonly id: string;
    readonly name: string;
    readonly engine_id: string;
    readonly facts: string;
    readonly labels: string;
    readonly create_time: number;
  };
}
