import { expect, test } from "vitest";

import { transcript, viewOf } from "./transcripts";
import { byWeight, emptyView, fold, objectTree } from "./session";
import { objectLook, phaseLook, statusOf } from "./tone";
import { decodeEvent, type FollowEvent } from "./wire";

function event(type: string, data: unknown): FollowEvent {
  const decoded = decodeEvent(type, JSON.stringify(data));
  if (!decoded) throw new Error(`${type} is not an event`);
  return decoded;
}

test("a green apply ends done with every phase and object accounted for", () => {
  const view = viewOf("apply-green");
  expect(statusOf(view, null)).toBe("done");
  expect(view.phases.map((phase) => [phase.name, phase.state])).toEqual([
    ["sources", "succeeded"],
    ["render", "succeeded"],
    ["upgrade", "succeeded"],
    ["rollout", "succeeded"],
  ]);
  const rollout = view.phases.at(-1);
  expect((rollout?.completedAt ?? 0) - (rollout?.startedAt ?? 0)).toBe(645);
  expect(objectTree(view.objects).map((node) => node.object.status)).toEqual(["ready", "ready", "ready"]);
  expect(view.ended?.leftBehind).toEqual({ releaseStatus: "deployed", revision: 2, notReady: [] });
});

test("pods stand below the object of the release that owns them", () => {
  const tree = objectTree(viewOf("image-pull").objects);
  expect(tree.map((node) => node.object.ref.kind)).toEqual(["ConfigMap", "Service", "Deployment"]);
  const pods = tree.at(-1)?.children.map((node) => node.object);
  expect(pods?.map((pod) => [pod.ref.kind, pod.status, pod.reason])).toEqual([
    ["Pod", "ready", ""],
    ["Pod", "ready", ""],
    ["Pod", "pending", "ImagePullBackOff"],
  ]);
});

test("a warning that comes again is one warning with a larger count", () => {
  const pod = { api_version: "v1", kind: "Pod", name: "web-1" };
  const warning = (seq: number, count: number) => {
    const fact = { event: { object: pod, warning: true, reason: "BackOff", message: "restarting", count } };
    return event("frame", { epoch: "1", seq: String(seq), fact });
  };
  const state = event("frame", { epoch: "1", seq: "1", fact: { object: { object: pod } } });
  const [shown] = fold(emptyView(), [state, warning(2, 1), warning(3, 4)]).objects.values();
  expect(shown?.events).toEqual([{ reason: "BackOff", message: "restarting", warning: true, count: 4 }]);
});

test("a failure keeps its place, its excerpt and how sure it is", () => {
  const [finding] = viewOf("values-schema").findings;
  expect(finding?.place).toEqual({ file: "values/dev.yaml", line: 7, column: 11, endLine: 7, endColumn: 14 });
  expect(finding?.excerpt?.lines[7 - finding.excerpt.firstLine]).toBe("replicas: two");
  expect([finding?.confidence, finding?.code]).toEqual(["exact", "values-schema"]);
});

test("replaying in one batch, frame by frame, or with every frame sent twice shows the same", () => {
  const events = transcript("image-pull");
  const whole = fold(emptyView(), events);
  const single = events.reduce((view, next) => fold(view, [next]), emptyView());
  const twice = events.reduce((view, next) => fold(fold(view, [next]), [next]), emptyView());
  expect(single).toEqual(whole);
  expect(twice).toEqual(whole);
});

test("an earlier view is not changed by a later fold", () => {
  const events = transcript("image-pull");
  const early = fold(emptyView(), events.slice(0, 20));
  const before = structuredClone(early);
  fold(early, events.slice(20));
  expect(early).toEqual(before);
});

test("a session that waits names the one ahead until it starts", () => {
  const events = transcript("cancelled");
  const waiting = fold(emptyView(), events.slice(0, 1));
  expect(statusOf(waiting, null)).toBe("queued");
  expect(waiting.queuedBehind).toBe("01a205ac-c8f7-731f-9692-0792c1337bec");
  const ended = fold(waiting, events.slice(1));
  expect(ended.queuedBehind).toBeNull();
  expect(statusOf(ended, null)).toBe("cancelled");
  expect(ended.notices).toEqual(["cancel requested (token)"]);
});

test("what a lost session left open is not shown as going on", () => {
  const view = viewOf("lost");
  expect(view.phases.map((phase) => phaseLook(phase.state, view.ended !== null).word)).toEqual([
    "done",
    "done",
    "cut off",
    "not started",
  ]);
  expect(objectLook({ status: "pending", reported: false }, true).word).toBe("not reported");
  expect(objectLook({ status: "progressing", reported: true }, true).word).toBe("not ready");
  expect(objectLook({ status: "progressing", reported: true }, false).word).toBe("progressing");
});

test("a lost session that is heard again is running again", () => {
  const lost = fold(viewOf("lost"), [event("end", { status: "STATUS_LOST" })]);
  expect(statusOf(lost, null)).toBe("lost");
  const frame = { epoch: "1", seq: String(lost.seq + 1), fact: { note: { kind: "NOTE_KIND_ADOPTED" } } };
  expect(statusOf(fold(lost, [event("frame", frame)]), null)).toBe("running");
});

test("a gap is said in the log and as a notice, and what it covers is not waited for", () => {
  const view = fold(emptyView(), [event("gap", { from: "1", to: "40", reason: "retention" })]);
  expect(view.seq).toBe(40);
  expect(view.notices).toEqual(["Frames 1 to 40 are not there any more (retention)."]);
  expect(view.log.map((row) => row.level)).toEqual(["warn"]);
});

test("a replaced history starts the view from nothing and takes its frames", () => {
  const old = viewOf("apply-green");
  const view = fold(old, [
    event("resync", { epoch: "2", first: "1", head: "1" }),
    event("frame", { epoch: "2", seq: "1", at_unix_nano: "1", fact: { line: { text: "new" } } }),
  ]);
  expect([view.epoch, view.seq, view.phases.length, view.objects.size]).toEqual(["2", 1, 0, 0]);
  expect(view.log.map((row) => row.text)).toEqual(["new"]);
});

test("a heartbeat tells how far behind the page is", () => {
  const view = fold(viewOf("apply-green"), [event("heartbeat", { head: "33" })]);
  expect(view.head - view.seq).toBe(6);
});

test("objects that own each other in a circle are still shown", () => {
  const ref = (name: string) => ({ kind: "Pod", name });
  const state = (seq: number, name: string, owner: string) =>
    event("frame", {
      epoch: "1",
      seq: String(seq),
      fact: { object: { object: ref(name), owner: ref(owner) } },
    });
  const view = fold(emptyView(), [state(1, "a", "b"), state(2, "b", "a"), state(3, "c", "c")]);
  const names = objectTree(view.objects).map((node) => node.object.ref.name);
  expect(names.sort()).toEqual(["a", "b", "c"]);
});

test("errors come before warnings", () => {
  const [finding] = viewOf("values-syntax").findings;
  if (!finding) throw new Error("the transcript has a finding");
  const order = byWeight([
    { ...finding, severity: "hint" },
    { ...finding, severity: "error" },
  ]);
  expect(order.map((found) => found.severity)).toEqual(["error", "hint"]);
});
