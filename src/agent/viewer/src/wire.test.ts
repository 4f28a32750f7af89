import { expect, test } from "vitest";

import { decodeEvent, decodeFrame, decodeSession, decodeSessions } from "./wire";

test("fields at their default are left out and read as that default", () => {
  const frame = decodeFrame({ epoch: "18446744073709551615", seq: "3", fact: { line: { text: "x" } } });
  expect(frame).toEqual({
    epoch: "18446744073709551615",
    seq: 3,
    at: 0,
    producer: "",
    fact: { kind: "line", source: "", level: "info", text: "x", phase: "" },
  });
});

test("an empty fact of a known kind is that kind", () => {
  expect(decodeFrame({ fact: { ended: {} } }).fact.kind).toBe("ended");
});

test("nanoseconds as text become milliseconds", () => {
  expect(decodeFrame({ at_unix_nano: "1795384800210000000" }).at).toBe(1795384800210);
});

test("facts, words and events of a newer agent are kept apart, not refused", () => {
  expect(decodeFrame({ seq: "1", fact: { hologram: { depth: 3 } } }).fact).toEqual({
    kind: "unknown",
    name: "hologram",
  });
  expect(
    decodeFrame({ fact: { phase: { name: "PHASE_NAME_PRAY", state: "PHASE_STATE_HOPING" } } }).fact,
  ).toMatchObject({
    name: "pray",
    state: "unknown",
  });
  expect(decodeEvent("bye", "{}")).toBeNull();
});

test.each([
  [null],
  [7],
  ["text"],
  [[]],
  [{ fact: [1, 2] }],
  [{ fact: { object: { object: 5, owner: "x" } } }],
])("%j is no frame and still no exception", (json) => {
  expect(decodeFrame(json).seq).toBe(0);
});

test("log lines that a client published are lines, and its control facts are facts", () => {
  const log = { pod: "web-1", container: "app", rendered: "hello", raw: "raw" };
  expect(decodeFrame({ published: { log } }).fact).toMatchObject({
    kind: "line",
    text: "hello",
    source: "web-1/app",
  });
  expect(decodeFrame({ published: { control: { line: { text: "ours" } } } }).fact).toMatchObject({
    text: "ours",
  });
});

test("a session without metadata is a session", () => {
  expect(decodeSession({ session_id: "s-1", status: "STATUS_LOST" })).toMatchObject({
    id: "s-1",
    status: "lost",
    meta: { release: "" },
  });
  expect(decodeSessions({})).toEqual([]);
});
