// Folds frames into what the page shows. Pure: events in, a new view out; no clock, no network, no Svelte.
//
// Replay and live are the same fold. A frame that was seen before (a connection that resumed one too early) changes
// nothing, and a new history (`resync`) starts the view from nothing, so a view never mixes two of them.

import type { Fact, Finding, FollowEvent, Frame, LeftBehind, Level, ObjectRef, ObjectStatus } from "./wire";
import type { PhaseState, Started, Status } from "./wire";

export type PhaseView = {
  name: string;
  state: PhaseState;
  message: string;
  startedAt: number;
  completedAt: number;
};

export type EventView = { reason: string; message: string; count: number; warning: boolean };

export type ObjectView = {
  key: string;
  ref: ObjectRef;
  status: ObjectStatus;
  reason: string;
  message: string;
  ready: number;
  desired: number;
  owner: string | null;
  events: EventView[];
  /** Whether its state was ever said, or it was only announced. */
  reported: boolean;
};

/** One row of the log. `number` is the row's own identity: gaps have no sequence. */
export type LogRow = {
  number: number;
  at: number;
  level: Level;
  source: string;
  text: string;
};

export type Ended = {
  status: Status;
  exitCode: number;
  message: string;
  at: number;
  leftBehind: LeftBehind | null;
};

export type View = {
  epoch: string;
  /** The last frame folded, and the last one known to exist. */
  seq: number;
  head: number;
  caughtUp: boolean;
  started: Started | null;
  startedAt: number;
  lastAt: number;
  /** The session that this one waits behind, until it starts. */
  queuedBehind: string | null;
  phases: PhaseView[];
  objects: Map<string, ObjectView>;
  findings: Finding[];
  notices: string[];
  log: LogRow[];
  ended: Ended | null;
};

export function emptyView(): View {
  return {
    epoch: "",
    seq: 0,
    head: 0,
    caughtUp: false,
    started: null,
    startedAt: 0,
    lastAt: 0,
    queuedBehind: null,
    phases: [],
    objects: new Map(),
    findings: [],
    notices: [],
    log: [],
    ended: null,
  };
}

/** The view after a batch. Its collections are copied once per batch, so a long replay stays linear. */
export function fold(view: View, events: readonly FollowEvent[]): View {
  let next = copy(view);
  for (const event of events) {
    if (event.type === "resync") next = restart(event.epoch, event.first, event.head);
    else foldEvent(next, event);
  }
  return next;
}

function copy(view: View): View {
  return {
    ...view,
    phases: [...view.phases],
    objects: new Map(view.objects),
    findings: [...view.findings],
    notices: [...view.notices],
    log: [...view.log],
  };
}

function restart(epoch: string, first: number, head: number): View {
  const view = emptyView();
  view.epoch = epoch;
  view.seq = Math.max(0, first - 1);
  view.head = head;
  view.notices.push("The history of this session was replaced; it is shown again from its start.");
  return view;
}

function foldEvent(view: View, event: Exclude<FollowEvent, { type: "resync" }>): void {
  switch (event.type) {
    case "frame":
      foldFrame(view, event.frame);
      break;
    case "caught_up":
      view.caughtUp = true;
      view.head = Math.max(view.head, event.head);
      break;
    case "heartbeat":
      view.head = Math.max(view.head, event.head);
      break;
    case "gap": {
      const frames =
        event.from === event.to ? `Frame ${event.from} is` : `Frames ${event.from} to ${event.to} are`;
      const notice = `${frames} not there any more (${event.reason || "no reason given"}).`;
      view.notices.push(notice);
      addRow(view, { at: view.lastAt, level: "warn", source: "ktl", text: notice });
      view.seq = Math.max(view.seq, event.to);
      break;
    }
    case "end":
      view.caughtUp = true;
      view.ended = {
        at: view.lastAt,
        leftBehind: view.ended?.leftBehind ?? null,
        // An end that says nothing leaves what the last frame said.
        status: event.status === "unknown" ? (view.ended?.status ?? "unknown") : event.status,
        exitCode: event.exitCode,
        message: event.message || (view.ended?.message ?? ""),
      };
      break;
  }
}

function foldFrame(view: View, frame: Frame): void {
  if (view.epoch !== "" && frame.epoch === view.epoch && frame.seq <= view.seq) return;
  view.epoch = frame.epoch;
  view.seq = frame.seq;
  view.head = Math.max(view.head, frame.seq);
  view.startedAt ||= frame.at;
  view.lastAt = frame.at;
  // A producer that is heard again turns a lost session back into a running one.
  if (view.ended?.status === "lost") view.ended = null;
  foldFact(view, frame, frame.fact);
}

function foldFact(view: View, frame: Frame, fact: Fact): void {
  switch (fact.kind) {
    case "started":
      view.started = fact.started;
      view.startedAt = frame.at;
      view.queuedBehind = null;
      for (const name of fact.started.phases) if (!phase(view, name)) view.phases.push(pendingPhase(name));
      break;
    case "queued":
      view.queuedBehind = fact.sessionAhead;
      break;
    case "phase":
      foldPhase(view, frame, fact);
      break;
    case "line":
      addRow(view, {
        at: frame.at,
        level: fact.level,
        source: fact.source || frame.producer,
        text: fact.text,
      });
      break;
    case "objects":
      for (const ref of fact.objects) change(view, ref, {});
      break;
    case "object": {
      const { kind, object, owner, ...state } = fact;
      if (owner) change(view, owner, {});
      change(view, object, { ...state, reported: true, owner: owner ? objectKey(owner) : null });
      break;
    }
    case "event":
      foldObjectEvent(view, frame, fact);
      break;
    case "finding":
      view.findings.push(fact.finding);
      break;
    case "note": {
      const notice = fact.text || fact.note.replaceAll("_", " ");
      view.notices.push(fact.principal ? `${notice} (${fact.principal})` : notice);
      addRow(view, { at: frame.at, level: "info", source: "ktl", text: notice });
      break;
    }
    case "ended": {
      const { kind, ...ended } = fact;
      view.ended = { ...ended, at: frame.at };
      view.queuedBehind = null;
      break;
    }
    case "unknown":
      break;
  }
}

function foldPhase(view: View, frame: Frame, fact: Extract<Fact, { kind: "phase" }>): void {
  const known = phase(view, fact.name);
  const over = fact.state !== "running" && fact.state !== "pending";
  const changed: PhaseView = {
    name: fact.name,
    state: fact.state,
    message: fact.message,
    startedAt: fact.startedAt || known?.startedAt || (fact.state === "running" ? frame.at : 0),
    completedAt: fact.completedAt || (over ? frame.at : 0),
  };
  if (known) view.phases[view.phases.indexOf(known)] = changed;
  else view.phases.push(changed);
}

function foldObjectEvent(view: View, frame: Frame, fact: Extract<Fact, { kind: "event" }>): void {
  const { object, reason, message, warning } = fact;
  const level = warning ? "warn" : "info";
  addRow(view, { at: frame.at, level, source: objectName(object), text: `${reason}: ${message}` });
  const known = view.objects.get(objectKey(object));
  // Events of what is between the release and its pods (a ReplicaSet, say) stay in the log only.
  if (!warning || !known) return;
  const count = Math.max(1, fact.count);
  const others = known.events.filter((event) => event.reason !== reason || event.message !== message);
  change(view, object, { events: [...others, { reason, message, warning, count }] });
}

/** Replaces an object by a changed one; objects of earlier views stay as they were. */
function change(view: View, ref: ObjectRef, fields: Partial<Omit<ObjectView, "key" | "ref">>): void {
  const key = objectKey(ref);
  const known = view.objects.get(key) ?? {
    key,
    ref,
    status: "pending" as const,
    reason: "",
    message: "",
    ready: 0,
    desired: 0,
    owner: null,
    events: [],
    reported: false,
  };
  view.objects.set(key, { ...known, ...fields });
}

function addRow(view: View, row: Omit<LogRow, "number">): void {
  view.log.push({ number: view.log.length + 1, ...row });
}

function phase(view: View, name: string): PhaseView | undefined {
  return view.phases.find((known) => known.name === name);
}

function pendingPhase(name: string): PhaseView {
  return { name, state: "pending", message: "", startedAt: 0, completedAt: 0 };
}

/** The group is part of what an object is, its version is not: a Deployment stays the same over v1beta1 and v1. */
export function objectKey(ref: ObjectRef): string {
  const group = ref.apiVersion.includes("/") ? ref.apiVersion.slice(0, ref.apiVersion.indexOf("/")) : "";
  return [group, ref.kind, ref.namespace, ref.name].join(" ");
}

export function objectName(ref: ObjectRef): string {
  return `${ref.kind} ${ref.name}`;
}

export type ObjectTree = { object: ObjectView; children: ObjectTree[] };

/** Objects of the release with the pods behind them, in the order in which the session named them. */
export function objectTree(objects: ReadonlyMap<string, ObjectView>): ObjectTree[] {
  const nodes = new Map([...objects].map(([key, object]) => [key, { object, children: [] as ObjectTree[] }]));
  const roots: ObjectTree[] = [];
  for (const node of nodes.values()) {
    const owner = node.object.owner === null ? undefined : nodes.get(node.object.owner);
    // A frame could name an object as its own owner; it is then its own root instead of vanishing.
    if (owner && !isBelow(nodes, node.object, owner.object)) owner.children.push(node);
    else roots.push(node);
  }
  return roots;
}

function isBelow(nodes: ReadonlyMap<string, ObjectTree>, object: ObjectView, owner: ObjectView): boolean {
  const seen = new Set<string>();
  for (let at: ObjectView | undefined = owner; at && !seen.has(at.key);) {
    if (at.key === object.key) return true;
    seen.add(at.key);
    at = at.owner === null ? undefined : nodes.get(at.owner)?.object;
  }
  return false;
}

/** Findings with errors first, the rest in the order in which they came. */
export function byWeight(findings: readonly Finding[]): Finding[] {
  const weight = { error: 0, warning: 1, information: 2, hint: 3 };
  return [...findings].sort((one, other) => weight[one.severity] - weight[other.severity]);
}
