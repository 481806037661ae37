import { isIPv6 } from "node:net";

/**
 * The part of an address that stands for one site: an IPv4 address, also one mapped into IPv6, or the first 64 bits of an IPv6 address, because
 * whoever has one of those has all of its 2^64 addresses (RFC 6177). What is no address is taken as it is.
 */
export function addressSite(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  return `${expanded(address).slice(0, 4).join(":")}::/64`;
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
