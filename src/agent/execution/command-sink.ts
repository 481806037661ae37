/** Where acceptances and results go: the session of the moment. */
export interface CommandSink {
  readonly agentId: string;
  /** The session's fencing number. */
  readonly epoch: number;
  /** Whether its lease ran out by this host's clock. Stays true. */
  readonly lapsed: boolean;
  /** How long nothing was heard in it, in milliseconds. */
  readonly silentMs: number;
  /** So much waits to be sent that nothing new should start. When that ends the session calls `Executor.resume`. */
  readonly congested: boolean;
  /** The command is in the journal and will run. */
  accepted(commandId: string, attempt: number): void;
  /** The command ended: its serialised CommandResult. */
  ended(commandId: string, result: Uint8Array): void;
}
