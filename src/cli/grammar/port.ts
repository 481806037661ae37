import { isIP } from "node:net";
import { InvalidArgumentError } from "commander";
import { PortBinding_Protocol } from "../../gen/fairlead/container/v1/container_spec_pb.js";

/** A port to publish, as `PortBinding` has it. */
export interface PublishedPort {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: PortBinding_Protocol;
}

const form = /^(?:(?:(\[[^\]]+\]|[^:[\]]+):)?([\d-]*):)?([\d-]+)(?:\/([a-z]+))?$/i;
const protocols = new Map([
  ["tcp", PortBinding_Protocol.TCP],
  ["udp", PortBinding_Protocol.UDP],
  ["sctp", PortBinding_Protocol.SCTP],
]);

/**
 * Ports from docker's -p: `[[ip:][hostPort]:]containerPort[/protocol]`, also with ranges of equal length. No host
 * port means any free one. Throws `InvalidArgumentError`.
 */
export function parsePublish(text: string): PublishedPort[] {
  const [, ip = "", host = "", inside, protocolName = "tcp"] = form.exec(text) ?? [];
  const protocol = protocols.get(protocolName.toLowerCase());
  if (inside === undefined || protocol === undefined) {
    throw new InvalidArgumentError(
      'Write it as [[ip:]hostPort:]containerPort[/tcp|udp|sctp], for example "8080:80".',
    );
  }
  const hostIp = parseIp(ip);
  const containerPorts = parseRange(inside);
  const hostPorts = host === "" ? [] : parseRange(host);
  if (hostPorts.length !== 0 && hostPorts.length !== containerPorts.length) {
    throw new InvalidArgumentError("The two ranges of ports must be equally long.");
  }
  return containerPorts.map((containerPort, index) => ({
    hostIp,
    hostPort: hostPorts[index] ?? 0,
    containerPort,
    protocol,
  }));
}

function parseIp(text: string): string {
  const ip = text.replace(/^\[(.+)\]$/, "$1");
  if (ip !== "" && isIP(ip) === 0) {
    throw new InvalidArgumentError(`"${ip}" is not an IP address.`);
  }
  return ip;
}

function parseRange(text: string): number[] {
  const [, first = "", last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === "" || from < 1 || to > 65_535 || from > to) {
    throw new InvalidArgumentError("Ports are numbers from 1 to 65535.");
  }
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
