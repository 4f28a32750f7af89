// The frames of a session as the agent's HTTP sends them, and the way from untrusted JSON into types.
//
// This is canonical protobuf JSON with the names of proto/ktl/control/v1: 64-bit numbers are strings, enums are
// names, and a field at its default is left out. A newer agent may send what this page does not know: unknown
// facts and words are kept as such, never an error. Nothing here knows Svelte or the network.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type Status = "running" | "done" | "error" | "cancelled" | "lost" | "unknown";
export type PhaseState = "pending" | "running" | "succeeded" | "failed" | "skipped" | "cancelled" | "unknown";
export type ObjectStatus = "pending" | "progressing" | "ready" | "failed" | "gone" | "unknown";
export type Level = "debug" | "info" | "warn" | "error";
export type Severity = "error" | "warning" | "information" | "hint";
export type Confidence = "exact" | "likely" | "none";

export type ObjectRef = { apiVersion: string; kind: string; namespace: string; name: string };
export type Place = { file: string; line: number; column: number; endLine: number; endColumn: number };
export type Excerpt = { firstLine: number; lines: string[] };
export type RelatedPlace = { place: Place | null; message: string };

export type Finding = {
  place: Place | null;
  severity: Severity;
  code: string;
  confidence: Confidence;
  message: string;
  related: RelatedPlace[];
  object: ObjectRef | null;
  field: string;
  excerpt: Excerpt | null;
  fixes: string[];
};

export type Started = {
  operation: string;
  release: string;
  namespace: string;
  cluster: string;
  context: string;
  chart: string;
  helmVersion: string;
  requester: string;
  phases: string[];
  configPath: string;
  agentVersion: string;
};

export type LeftBehind = { releaseStatus: string; revision: number; notReady: ObjectRef[] };

export type Fact =
  | { kind: "started"; started: Started }
  | { kind: "queued"; sessionAhead: string; release: string }
  | {
      kind: "phase";
      name: string;
      state: PhaseState;
      message: string;
      startedAt: number;
      completedAt: number;
    }
  | { kind: "line"; source: string; level: Level; text: string; phase: string }
  | { kind: "objects"; objects: ObjectRef[] }
  | {
      kind: "object";
      object: ObjectRef;
      status: ObjectStatus;
      reason: string;
      message: string;
      ready: number;
      desired: number;
      owner: ObjectRef | null;
    }
  | { kind: "event"; object: ObjectRef; warning: boolean; reason: string; message: string; count: number }
  | { kind: "finding"; finding: Finding }
  | { kind: "note"; note: string; text: string; principal: string }
  | {
      kind: "ended";
      status: Status;
      exitCode: number;
      message: string;
      leftBehind: LeftBehind | null;
    }
  | { kind: "unknown"; name: string };

/** One numbered fact. `epoch` stays text: it is an identity, not a quantity. `at` is milliseconds since 1970. */
export type Frame = { epoch: string; seq: number; at: number; producer: string; fact: Fact };

export type FollowEvent =
  | { type: "frame"; frame: Frame }
  | { type: "caught_up"; head: number }
  | { type: "gap"; from: number; to: number; reason: string }
  | { type: "resync"; epoch: string; first: number; head: number }
  | { type: "heartbeat"; head: number }
  | { type: "end"; status: Status; exitCode: number; message: string };

export type Session = {
  id: string;
  head: number;
  status: Status;
  exitCode: number;
  message: string;
  createdAt: number;
  lastSeenAt: number;
  completedAt: number;
  meta: {
    command: string;
    requester: string;
    cluster: string;
    context: string;
    namespace: string;
    release: string;
    chart: string;
  };
  tags: [string, string][];
};

/** What one SSE event says; null for an event that this page does not know. Throws on text that is not JSON. */
export function decodeEvent(type: string, data: string): FollowEvent | null {
  const json = JSON.parse(data) as Json;
  switch (type) {
    case "frame":
      return { type, frame: decodeFrame(json) };
    case "caught_up":
    case "heartbeat":
      return { type, head: number(json, "head") };
    case "gap":
      return { type, from: number(json, "from"), to: number(json, "to"), reason: text(json, "reason") };
    case "resync":
      return {
        type,
        epoch: text(json, "epoch"),
        first: number(json, "first"),
        head: number(json, "head"),
      };
    case "end":
      return {
        type,
        status: status(json),
        exitCode: number(json, "exit_code"),
        message: text(json, "message"),
      };
    default:
      return null;
  }
}

export function decodeFrame(json: Json): Frame {
  const fact = object(json, "fact");
  const published = object(json, "published");
  return {
    epoch: text(json, "epoch"),
    seq: number(json, "seq"),
    at: millis(json, "at_unix_nano"),
    producer: text(json, "producer"),
    fact: published ? decodePublished(published) : decodeFact(fact ?? {}),
  };
}

export function decodeSession(json: Json): Session {
  const meta = object(json, "meta") ?? {};
  const tags = object(json, "tags") ?? {};
  return {
    id: text(json, "session_id"),
    head: number(json, "head"),
    status: status(json),
    exitCode: number(json, "exit_code"),
    message: text(json, "message"),
    createdAt: millis(json, "created_unix_nano"),
    lastSeenAt: millis(json, "last_seen_unix_nano"),
    completedAt: millis(json, "completed_unix_nano"),
    meta: {
      command: text(meta, "command"),
      requester: text(meta, "requester"),
      cluster: text(meta, "cluster"),
      context: text(meta, "context"),
      namespace: text(meta, "namespace"),
      release: text(meta, "release"),
      chart: text(meta, "chart"),
    },
    tags: Object.keys(tags).map((key) => [key, text(tags, key)]),
  };
}

export function decodeSessions(json: Json): Session[] {
  return list(json, "sessions").map(decodeSession);
}

/** A frame that a client published through the public API: its log lines are shown, the rest is named. */
function decodePublished(json: Json): Fact {
  const control = object(json, "control");
  if (control) return decodeFact(control);
  const log = object(json, "log") ?? object(object(json, "build"), "log");
  if (log) {
    const from = [text(log, "namespace"), text(log, "pod"), text(log, "container")].filter(Boolean).join("/");
    const line = text(log, "rendered") || text(log, "raw");
    return { kind: "line", source: from || text(log, "source"), level: "info", text: line, phase: "" };
  }
  const deploy = object(json, "deploy") ?? object(json, "verify");
  if (deploy)
    return { kind: "line", source: "published", level: "info", text: text(deploy, "json"), phase: "" };
  return { kind: "unknown", name: "published" };
}

function decodeFact(json: Json): Fact {
  const [name = ""] = Object.keys(isObject(json) ? json : {});
  const body = object(json, name) ?? {};
  switch (name) {
    case "started":
      return { kind: name, started: decodeStarted(body) };
    case "queued":
      return { kind: name, sessionAhead: text(body, "session_ahead"), release: text(body, "release") };
    case "phase":
      return {
        kind: name,
        name: word(body, "name", "PHASE_NAME_"),
        state: oneOf(PHASE_STATES, word(body, "state", "PHASE_STATE_"), "unknown"),
        message: text(body, "message"),
        startedAt: millis(body, "started_unix_nano"),
        completedAt: millis(body, "completed_unix_nano"),
      };
    case "line":
      return {
        kind: name,
        source: word(body, "source", "LINE_SOURCE_"),
        level: oneOf(LEVELS, word(body, "level", "LEVEL_"), "info"),
        text: text(body, "text"),
        phase: word(body, "phase", "PHASE_NAME_"),
      };
    case "objects":
      return { kind: name, objects: list(body, "objects").map(decodeObjectRef) };
    case "object":
      return {
        kind: name,
        object: decodeObjectRef(object(body, "object") ?? {}),
        status: oneOf(OBJECT_STATUSES, word(body, "status", "OBJECT_STATUS_"), "unknown"),
        reason: text(body, "reason"),
        message: text(body, "message"),
        ready: number(body, "ready"),
        desired: number(body, "desired"),
        owner: optional(object(body, "owner"), decodeObjectRef),
      };
    case "event":
      return {
        kind: name,
        object: decodeObjectRef(object(body, "object") ?? {}),
        warning: isObject(body) && body["warning"] === true,
        reason: text(body, "reason"),
        message: text(body, "message"),
        count: number(body, "count"),
      };
    case "finding":
      return { kind: name, finding: decodeFinding(body) };
    case "note":
      return {
        kind: name,
        note: word(body, "kind", "NOTE_KIND_"),
        text: text(body, "text"),
        principal: text(body, "principal"),
      };
    case "ended":
      return {
        kind: name,
        status: status(body),
        exitCode: number(body, "exit_code"),
        message: text(body, "message"),
        leftBehind: optional(object(body, "left_behind"), decodeLeftBehind),
      };
    default:
      return { kind: "unknown", name };
  }
}

function decodeStarted(json: Json): Started {
  return {
    operation: text(json, "operation"),
    release: text(json, "release"),
    namespace: text(json, "namespace"),
    cluster: text(json, "cluster"),
    context: text(json, "context"),
    chart: text(json, "chart"),
    helmVersion: text(json, "helm_version"),
    requester: text(json, "requester"),
    phases: strings(json, "phases").map((name) => lowerWord(name, "PHASE_NAME_")),
    configPath: text(json, "config_path"),
    agentVersion: text(json, "agent_version"),
  };
}

function decodeFinding(json: Json): Finding {
  return {
    place: optional(object(json, "place"), decodePlace),
    severity: oneOf(SEVERITIES, word(json, "severity", "SEVERITY_"), "error"),
    code: text(json, "code"),
    confidence: oneOf(CONFIDENCES, word(json, "confidence", "CONFIDENCE_"), "none"),
    message: text(json, "message"),
    related: list(json, "related").map((related) => ({
      place: optional(object(related, "place"), decodePlace),
      message: text(related, "message"),
    })),
    object: optional(object(json, "object"), decodeObjectRef),
    field: text(json, "field"),
    excerpt: optional(object(json, "excerpt"), (excerpt) => ({
      firstLine: number(excerpt, "first_line"),
      lines: strings(excerpt, "lines"),
    })),
    fixes: list(json, "fixes").map((fix) => text(fix, "title")),
  };
}

function decodePlace(json: Json): Place {
  return {
    file: text(json, "file"),
    line: number(json, "line"),
    column: number(json, "column"),
    endLine: number(json, "end_line"),
    endColumn: number(json, "end_column"),
  };
}

function decodeObjectRef(json: Json): ObjectRef {
  return {
    apiVersion: text(json, "api_version"),
    kind: text(json, "kind"),
    namespace: text(json, "namespace"),
    name: text(json, "name"),
  };
}

function decodeLeftBehind(json: Json): LeftBehind {
  return {
    releaseStatus: text(json, "release_status"),
    revision: number(json, "revision"),
    notReady: list(json, "not_ready").map(decodeObjectRef),
  };
}

const STATUSES = ["running", "done", "error", "cancelled", "lost"] as const;
const PHASE_STATES = ["pending", "running", "succeeded", "failed", "skipped", "cancelled"] as const;
const OBJECT_STATUSES = ["pending", "progressing", "ready", "failed", "gone"] as const;
const LEVELS = ["debug", "info", "warn", "error"] as const;
const SEVERITIES = ["error", "warning", "information", "hint"] as const;
const CONFIDENCES = ["exact", "likely", "none"] as const;

function status(json: Json): Status {
  return oneOf(STATUSES, word(json, "status", "STATUS_"), "unknown");
}

function oneOf<Word extends string, Other extends string>(
  words: readonly Word[],
  word: string,
  other: Other,
): Word | Other {
  return words.find((known) => known === word) ?? other;
}

/** `PHASE_NAME_RENDER` without its prefix, in lower case; empty when the field was left out. */
function word(json: Json, field: string, prefix: string): string {
  return lowerWord(text(json, field), prefix);
}

function lowerWord(name: string, prefix: string): string {
  return (name.startsWith(prefix) ? name.slice(prefix.length) : name).toLowerCase();
}

function isObject(json: Json | undefined): json is { [key: string]: Json } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function object(json: Json | null, field: string): Json | null {
  const value = isObject(json ?? undefined) ? (json as { [key: string]: Json })[field] : undefined;
  return isObject(value) ? value : null;
}

function list(json: Json, field: string): Json[] {
  const value = isObject(json) ? json[field] : undefined;
  return Array.isArray(value) ? value : [];
}

function strings(json: Json, field: string): string[] {
  return list(json, field).map((value) => (typeof value === "string" ? value : ""));
}

function text(json: Json, field: string): string {
  const value = isObject(json) ? json[field] : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function number(json: Json, field: string): number {
  const value = Number(text(json, field));
  return Number.isFinite(value) ? value : 0;
}

function millis(json: Json, field: string): number {
  // Rounded, because a double holds nanoseconds only to the nearest 256.
  return Math.round(number(json, field) / 1e6);
}

function optional<Value>(json: Json | null, decode: (json: Json) => Value): Value | null {
  return json === null ? null : decode(json);
}
