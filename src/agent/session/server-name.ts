/** Where the control plane is. */
export interface ServerName {
  readonly host: string;
  readonly port: number;
}

/** "host:port" taken apart; brackets around an IPv6 address come off. */
export function serverNameFrom(server: string): ServerName {
  const colon = server.lastIndexOf(":");
  const host = server.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(server.slice(colon + 1)) };
}
