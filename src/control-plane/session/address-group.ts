import { isIPv6 } from "node:net";

/**
 * The part of a peer's address ("192.0.2.1:5000", "[2001:db8::1]:5000") that stands for one site: an IPv4 address, or the first 64 bits of
 * an IPv6 address, because whoever has one of those has all of its 2^64 addresses (RFC 6177).
 */
export function addressGroup(peer: string): string {
  const host = peer.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (mapped !== undefined) return mapped;
  return isIPv6(host) ? `${expanded(host).slice(0, 4).join(":")}::/64` : host;
}

/** The eight groups of an IPv6 address. */
function expanded(address: string): string[] {
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const [front, back] = [groupsOf(head), groupsOf(tail ?? "")];
  const missing = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array<string>(missing).fill("0"), ...back];
  return groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""));
}

function groupsOf(text: string): string[] {
  return text.split(":").filter((group) => group !== "");
}
