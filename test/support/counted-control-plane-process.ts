import { startControlPlane } from "../../src/control-plane/control-plane.ts";
import { takeCensus } from "./census.ts";
import type { CountedNews, CountedQuestion, CountedSettings } from "./counted-control-plane.ts";
import { silentLogger } from "./silent-logger.ts";

const anyPort = { host: "127.0.0.1", port: 0 };

// A real control plane whose parent asks what is alive in it: `node --expose-gc counted-control-plane-process.ts '<settings>'`.
const { dataDir, session } = JSON.parse(process.argv[2] ?? "{}") as CountedSettings;
const warnings: string[] = [];
process.on("warning", ({ name, message }) => {
  // The one of `queryObjects`, which the census itself calls forth.
  if (name !== "ExperimentalWarning") warnings.push(`${name}: ${message}`);
});
process.on("disconnect", () => process.exit());
const controlPlane = await startControlPlane({
  dataDir,
  agentsListen: anyPort,
  apiListen: anyPort,
  tls: { kind: "off" },
  logger: silentLogger,
  // Streams fail on purpose, and all of them from one address.
  session: { ...session, maxFailedHandshakes: Number.POSITIVE_INFINITY },
});

function tell(news: CountedNews): void {
  process.send?.(news);
}

process.on("message", (question: CountedQuestion) => {
  if (question === "census") {
    tell({ kind: "census", value: takeCensus() });
    return;
  }
  const resources = process.getActiveResourcesInfo();
  const sockets = resources.filter((name) => name === "TCPSocketWrap").length;
  const timers = resources.filter((name) => name === "Timeout").length;
  const { sessions, dataStreams: data } = controlPlane;
  const dataStreams = data.size + data.tickets;
  tell({ kind: "figures", value: { sessions: sessions.size, dataStreams, sockets, timers, warnings } });
});
tell({ kind: "listening", value: controlPlane.agentsAddress.port });
