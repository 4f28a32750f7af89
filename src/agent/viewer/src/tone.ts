// How a state looks: a word, a sign and a tone, because color alone says nothing to many people.

import type { Connection } from "./follow";
import type { View } from "./session";
import type { ObjectStatus, PhaseState, Session, Status } from "./wire";

export type Tone = "good" | "bad" | "warn" | "busy" | "idle";
export type Look = { tone: Tone; sign: string; word: string };

export const STATUS: Record<Status | "queued", Look> = {
  queued: { tone: "idle", sign: "◷", word: "waiting" },
  running: { tone: "busy", sign: "▸", word: "running" },
  done: { tone: "good", sign: "✓", word: "done" },
  error: { tone: "bad", sign: "✕", word: "failed" },
  cancelled: { tone: "warn", sign: "■", word: "cancelled" },
  lost: { tone: "warn", sign: "?", word: "lost" },
  unknown: { tone: "idle", sign: "·", word: "not known" },
};

const PHASE: Record<PhaseState, Look> = {
  pending: { tone: "idle", sign: "·", word: "not started" },
  running: { tone: "busy", sign: "▸", word: "running" },
  succeeded: { tone: "good", sign: "✓", word: "done" },
  failed: { tone: "bad", sign: "✕", word: "failed" },
  skipped: { tone: "idle", sign: "–", word: "skipped" },
  cancelled: { tone: "warn", sign: "■", word: "cancelled" },
  unknown: { tone: "idle", sign: "·", word: "not known" },
};

/** A phase of a session that is over can not be running: nobody was there to say how it went. */
export function phaseLook(state: PhaseState, over: boolean): Look {
  return over && state === "running" ? { tone: "warn", sign: "?", word: "cut off" } : PHASE[state];
}

/** In a session that is over, nothing is on its way any more: an object that was not ready is just that. */
export function objectLook(object: { status: ObjectStatus; reported: boolean }, over: boolean): Look {
  const look = OBJECT[object.status];
  if (!over) return look;
  if (!object.reported) return { tone: "idle", sign: "·", word: "not reported" };
  const isOpen = object.status === "pending" || object.status === "progressing";
  return isOpen ? { tone: "warn", sign: "!", word: "not ready" } : look;
}

const OBJECT: Record<ObjectStatus, Look> = {
  pending: { tone: "idle", sign: "·", word: "pending" },
  progressing: { tone: "busy", sign: "▸", word: "progressing" },
  ready: { tone: "good", sign: "✓", word: "ready" },
  failed: { tone: "bad", sign: "✕", word: "failed" },
  gone: { tone: "idle", sign: "–", word: "gone" },
  unknown: { tone: "idle", sign: "·", word: "not known" },
};

/** The state of the session: its frames know best, then what the agent said of it when the page opened. */
export function statusOf(view: View, session: Session | null): Status | "queued" {
  if (view.ended) return view.ended.status;
  if (view.queuedBehind !== null) return "queued";
  if (view.seq > 0 && view.caughtUp) return "running";
  return session?.status ?? (view.seq > 0 ? "running" : "unknown");
}

/** Whether what is shown is what is so: live, replaying, away, or a recording. */
export function freshness(connection: Connection, view: View): Look {
  const behind = Math.max(0, view.head - view.seq);
  switch (connection.state) {
    case "ended":
      return { tone: "idle", sign: "●", word: "recorded" };
    case "refused":
      return { tone: "warn", sign: "●", word: "closed" };
    case "waiting":
      return { tone: "warn", sign: "○", word: `stale: ${connection.reason}, trying again` };
    case "connecting":
      return { tone: "idle", sign: "○", word: "connecting" };
    case "open":
      if (!view.caughtUp) return { tone: "busy", sign: "●", word: "replaying" };
      return { tone: "good", sign: "●", word: behind === 0 ? "live" : `live, ${behind} behind` };
  }
}
