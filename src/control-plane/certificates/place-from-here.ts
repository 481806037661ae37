import { X509Certificate } from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import { certificatesIn } from "../../rpc/public-key-digest.ts";
import type { TlsSource } from "../../rpc/tls-source.ts";
import type { ListenAddress } from "../config.ts";

/**
 * Where this machine reaches a listener, "host:port": by its address, else by the first of `advertise`, else by the first name at all, that its certificate
 * has, because whoever checks that trusts no other. By its address where there is no TLS, or the certificate has no name.
 */
export function placeFromHere(
  { host, port }: ListenAddress,
  tls: TlsSource | undefined,
  advertise: readonly string[] = [],
): string {
  // An address that stands for all of the machine's own is none to connect to.
  const address = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const [leaf] = certificatesIn(String(tls?.current().cert ?? ""));
  const name = leaf === undefined ? address : nameOf(new X509Certificate(leaf), address, advertise);
  return isIPv6(name) ? `[${name}]:${port}` : `${name}:${port}`;
}

function nameOf(certificate: X509Certificate, address: string, advertise: readonly string[]): string {
  const known = [address, ...(isLoopback(address) ? ["localhost"] : []), ...advertise];
  return known.find((name) => isFor(certificate, name)) ?? ownName(certificate) ?? address;
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function isFor(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** One with a wildcard is no name to connect to. */
function ownName({ subjectAltName = "" }: X509Certificate): string | undefined {
  return /(?:^|, )DNS:([A-Za-z0-9_.-]+)(?:,|$)/.exec(subjectAltName)?.[1];
}
