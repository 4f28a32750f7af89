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
  expect((rollout?.completedAt ?? 0) - (rollout?.startedAt ?? 0)).toBe(3289);
  expect(objectTree(view.objects).map((node) => node.object.status)).toEqual([
    "ready",
    "ready",
    "ready",
    "ready",
  ]);
  expect(view.ended?.leftBehind).toEqual({ releaseStatus: "deployed", revision: 3, notReady: [] });
});

test("pods stand below the object of the release that owns them", () => {
  const tree = objectTree(viewOf("image-pull").objects);
  expect(tree.map((node) => node.object.ref.kind)).toEqual([
    "ServiceAccount",
    "ConfigMap",
    "Service",
    "Deployment",
  ]);
  const pods = tree.at(-1)?.children.map((node) => node.object);
  expect(pods?.map((pod) => [pod.ref.kind, pod.status, pod.reason])).toEqual([
    ["Pod", "failed", "ImagePullBackOff"],
    ["Pod", "failed", "ImagePullBackOff"],
  ]);
});

test("a warning that comes again is one warning with a larger count", () => {
  const [pod] = objectTree(viewOf("image-pull").objects).at(-1)?.children ?? [];
  expect(pod?.object.events).toEqual([
    expect.objectContaining({ reason: "Failed", count: 2, warning: true }),
  ]);
});

test("a failure keeps its place, its excerpt and its related places", () => {
  const [finding] = viewOf("values-syntax").findings;
  expect(finding?.place).toMatchObject({ file: "values-prod.yaml", line: 7, column: 1, endColumn: 8 });
  expect(finding?.excerpt?.lines[7 - (finding.excerpt.firstLine || 0)]).toContain("memory");
  expect(finding?.related.map((related) => related.place?.file)).toEqual(["values-prod.yaml", ".ktl.yaml"]);
  expect(finding?.confidence).toBe("exact");
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
  expect(waiting.queuedBehind).toBe("0193561a-6f10-7c44-8d3e-5b0a6a6f0b11");
  const ended = fold(waiting, events.slice(1));
  expect(ended.queuedBehind).toBeNull();
  expect(statusOf(ended, null)).toBe("cancelled");
  expect(ended.notices).toEqual(["cancel requested (jane@laptop)"]);
});

test("what a lost session left open is not shown as going on", () => {
  const view = viewOf("lost");
  expect(view.phases.map((phase) => phaseLook(phase.state, view.ended !== null).word)).toEqual([
    "done",
    "done",
    "cut off",
    "not started",
  ]);
  expect(objectLook("pending", true).word).toBe("not reported");
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
  const view = fold(viewOf("apply-green"), [event("heartbeat", { head: "35" })]);
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
