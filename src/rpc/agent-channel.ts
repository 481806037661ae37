/** One message on any stream between an agent and its control plane, in bytes: docs/protocol.md, "Limits". */
export const maxMessageBytes = 1024 * 1024;

/**
 * How an agent's connections behave, docs/protocol.md, "Limits". Each client has a pool of its own: an agent that shares its connection with
 * another in the process would share its fate.
 */
export const channelOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": maxMessageBytes,
  "grpc.max_send_message_length": maxMessageBytes,
  "grpc.enable_retries": 0,
  // Also without retries grpc-js takes so much of a call at once, 1 MiB by default, as if it were sent. It is enough for what opens a stream,
  // which may be sent again when the connection goes away under it; all that follows waits for the peer.
  "grpc.per_rpc_retry_buffer_size": 16 * 1024,
  "grpc.service_config_disable_resolution": 1,
  "grpc.use_local_subchannel_pool": 1,
} as const;
