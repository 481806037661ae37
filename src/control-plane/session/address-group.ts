import { addressSite } from "../../rpc/address-site.ts";

/** The site of a peer as gRPC names it: "192.0.2.1:5000", "[2001:db8::1]:5000". */
export function addressGroup(peer: string): string {
  return addressSite(peer.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
}
