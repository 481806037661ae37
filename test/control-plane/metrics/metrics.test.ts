import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { reasonTraits } from "../../../src/domain/errors.ts";
import { defaultRetrySettings } from "../../../src/resilience/retry-schedule.ts";
import { type Page, pageOf } from "../../support/api-place.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";

/** The figures of `/metrics`, by name and labels as they are printed. */
async function figures(plane: TestControlPlane): Promise<Map<string, number>> {
  const { status, contentType, text } = await metricsPage(plane);
  assert.equal(status, 200);
  assert.match(contentType ?? "", /^text\/plain; version=0\.0\.4/);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

function metricsPage(plane: TestControlPlane): Promise<Page> {
  return pageOf(plane, "/metrics", { authorization: `Bearer ${plane.adminKey}` });
}

describe("metrics", () => {
  it("L07 commands are counted by operation and reason, with their durations, retries and stray results", async () => {
    await using plane = await testControlPlane({
      dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 1 } },
    });
    const agent = await plane.enrolled();
    const read = dispatchTo(plane, agent, inspectWeb);
    agent.succeed(await agent.command());
    await read;
    const failing = dispatchTo(plane, agent, stopWeb);
    const command = await agent.command();
    assert.equal((await figures(plane)).get("fairlead_commands_open"), 1);
    assert.equal((await figures(plane)).get("fairlead_commands_in_flight"), 1);
    agent.fail(command, "CONFLICT");
    await rejection(failing, "CONFLICT");
    const again = dispatchTo(plane, agent, inspectWeb);
    agent.fail(await agent.command(), "ENGINE_UNAVAILABLE");
    const second = await agent.command();
    agent.succeed(second);
    await again;
    agent.succeed(second);
    await eventually(() => plane.controlPlane.dispatcher.strayResults === 1, "the result is known as stray");
    agent.close();
    await eventually(() => plane.controlPlane.sessions.size === 0, "the agent is gone");
    await rejection(dispatchTo(plane, agent, stopWeb), "AGENT_OFFLINE");
    const now = await figures(plane);
    const expected = {
      'fairlead_commands_ended_total{operation="inspect_container",reason="OK"}': 2,
      'fairlead_commands_ended_total{operation="stop_container",reason="CONFLICT"}': 1,
      'fairlead_commands_refused_total{operation="stop_container",reason="AGENT_OFFLINE"}': 1,
      'fairlead_command_duration_seconds_count{operation="inspect_container"}': 2,
      'fairlead_command_duration_seconds_count{operation="stop_container"}': 1,
      'fairlead_command_retries_total{operation="inspect_container"}': 1,
      fairlead_stray_results_total: 1,
      fairlead_commands_open: 0,
      fairlead_commands_in_flight: 0,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(now.get(name), value, name);
  });

  it("L07 circuits are counted by their state, and how often they changed", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    for (let failure = 0; failure < 5; failure += 1) {
      const call = dispatchTo(plane, agent, stopWeb);
      agent.fail(await agent.command(), "OUTCOME_UNKNOWN");
      await rejection(call, "OUTCOME_UNKNOWN");
    }
    await rejection(dispatchTo(plane, agent, stopWeb), "CIRCUIT_OPEN");
    const now = await figures(plane);
    assert.equal(now.get('fairlead_circuits{state="open"}'), 1);
    assert.equal(now.get('fairlead_circuits{state="half-open"}'), 0);
    assert.equal(now.get('fairlead_circuit_transitions_total{to="open"}'), 1);
    assert.equal(
      now.get('fairlead_commands_refused_total{operation="stop_container",reason="CIRCUIT_OPEN"}'),
      1,
    );
  });

  it("L07 sessions, enrolments, refused items, storage, events and the process have their figures", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const other = await plane.enrolled();
    await rejection(plane.stream().register("no token"), "UNAUTHENTICATED");
    await rejection(plane.stream().reconnect(), "UNAUTHENTICATED");
    agent.send({ sentTime: { seconds: 2n ** 62n, nanos: 0 } });
    other.close();
    const watching = new AbortController();
    const watcher = plane.controlPlane.events.watch({}, 0, watching.signal);
    await watcher.next();
    await eventually(() => plane.controlPlane.sessions.size === 1, "one of two is left");
    const now = await eventually(async () => {
      const read = await figures(plane);
      return read.get('fairlead_frame_items_refused_total{item="sent_time"}') === 1 ? read : undefined;
    }, "the odd item is counted");
    const expected = {
      fairlead_sessions: 1,
      fairlead_handshakes: 0,
      fairlead_sessions_opened_total: 2,
      'fairlead_sessions_ended_total{reason="SESSION_LOST"}': 1,
      'fairlead_agent_streams_refused_total{reason="UNAUTHENTICATED"}': 2,
      'fairlead_enrolments_total{result="OK"}': 2,
      'fairlead_enrolments_total{result="MALFORMED"}': 1,
      'fairlead_reconnections_refused_total{cause="UNKNOWN_AGENT"}': 1,
      fairlead_agent_queue_items: 0,
      fairlead_agent_queue_bytes: 0,
      fairlead_storage_healthy: 1,
      fairlead_storage_commit_failures_total: 0,
      fairlead_event_watchers: 1,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(now.get(name), value, name);
    // A watcher that has read nothing yet is behind by everything.
    assert.ok((now.get("fairlead_event_newest_sequence") ?? 0) > 0);
    assert.equal(now.get("fairlead_event_watcher_lag"), now.get("fairlead_event_newest_sequence"));
    assert.ok((now.get("fairlead_storage_commit_duration_seconds_count") ?? 0) > 0);
    assert.ok((now.get("fairlead_storage_commit_batches_sum") ?? 0) > 0);
    assert.ok((now.get("process_resident_memory_bytes") ?? 0) > 0);
    assert.ok(now.has("nodejs_eventloop_lag_p99_seconds"));
    await watcher.return(undefined as never);
    assert.equal((await figures(plane)).get("fairlead_event_watchers"), 0);
  });

  it("L07 series are bounded by the lists of operations and reasons, whatever an agent answers", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    for (const reason of ["MADE_UP_1", "MADE_UP_2", "OK"]) {
      const call = dispatchTo(plane, agent, stopWeb);
      agent.fail(await agent.command(), reason);
      await rejection(call, "OPERATION_FAILED");
    }
    const names = [...(await figures(plane)).keys()];
    const reasons = names.flatMap((name) => /^fairlead.*reason="(\w+)"/.exec(name)?.[1] ?? []);
    assert.ok(reasons.length > 0);
    assert.deepEqual(
      reasons.filter((reason) => reason !== "OK" && !Object.hasOwn(reasonTraits, reason)),
      [],
    );
  });

  it("L07 the page for operators lists every metric, and none that there is not", async () => {
    await using plane = await testControlPlane();
    const { text } = await metricsPage(plane);
    const served = [...text.matchAll(/^# TYPE (fairlead_\w+)/gm)].map(([, name]) => name);
    const page = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    const listed = [...page.matchAll(/`(fairlead_\w+)(?:\{[\w,]+\})?`/g)].map(([, name]) => name);
    assert.deepEqual(new Set(listed), new Set(served));
  });
});
