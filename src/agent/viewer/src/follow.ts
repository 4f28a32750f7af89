// Follows one session: connects, resumes after the last frame, waits longer after every failure, and stops for good
// when the session ended or the agent refused. Knows nothing of what the frames say.

import { type Fetch, nobodyAnswered, readRefusal, type Refusal, sessionPath } from "./api";
import { type ServerEvent, serverEvents } from "./sse";
import { decodeEvent, type FollowEvent } from "./wire";

export type Connection =
  | { state: "connecting" }
  | { state: "open" }
  /** Away; tries again after `delay` milliseconds, the `attempt`th time in a row. */
  | { state: "waiting"; attempt: number; delay: number; reason: string }
  /** Every frame was received. */
  | { state: "ended" }
  /** The agent will not answer this page differently until the user does something. */
  | { state: "refused"; refusal: Refusal };

export type FollowIo = {
  fetch: Fetch;
  sleep: (millis: number, signal: AbortSignal) => Promise<void>;
  random: () => number;
  onEvents: (events: FollowEvent[]) => void;
  onConnection: (connection: Connection) => void;
};

/** The agent says its head every 15 s; silence for twice that and a bit is a dead connection. */
export const SILENCE_MS = 35_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/** Runs until the session ends, the agent refuses, or the signal is raised. */
export async function follow(id: string, io: FollowIo, signal: AbortSignal): Promise<void> {
  const progress = { cursor: "", failures: 0 };
  for (;;) {
    if (signal.aborted) return;
    io.onConnection({ state: "connecting" });
    const outcome = await connect(id, progress, io, signal);
    if (outcome.state === "again" || outcome.state === "stopped") continue;
    if (outcome.state !== "away") {
      io.onConnection(outcome);
      return;
    }
    progress.failures += 1;
    const delay = backoff(progress.failures, io.random());
    io.onConnection({ state: "waiting", attempt: progress.failures, delay, reason: outcome.reason });
    await io.sleep(delay, signal);
  }
}

/** Doubles up to 15 s, less a random half, so that many open pages do not come back in the same instant. */
export function backoff(failures: number, random: number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
  return Math.round(full * (1 - random / 2));
}

type Progress = { cursor: string; failures: number };
type Outcome =
  | { state: "ended" }
  | { state: "again" }
  /** The signal was raised. */
  | { state: "stopped" }
  | { state: "refused"; refusal: Refusal }
  | { state: "away"; reason: string };

async function connect(id: string, progress: Progress, io: FollowIo, signal: AbortSignal): Promise<Outcome> {
  const silence = new AbortController();
  const heard = watchSilence(silence);
  const either = AbortSignal.any([signal, silence.signal]);
  try {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (progress.cursor !== "") headers["last-event-id"] = progress.cursor;
    const response = await io.fetch(`${sessionPath(id)}/events`, { headers, signal: either });
    if (!response.ok || !response.body) return await refusedOrAway(response);
    io.onConnection({ state: "open" });
    for await (const event of serverEvents(response.body)) {
      heard();
      const type = takeEvent(event, progress, io);
      if (type === "end") return { state: "ended" };
      // The cursor belonged to another history; the new one is asked for at once.
      if (type === "resync") return { state: "again" };
    }
    return { state: "away", reason: "the connection was closed" };
  } catch (error) {
    if (signal.aborted) return { state: "stopped" };
    return { state: "away", reason: reasonOf(error, silence.signal) };
  } finally {
    heard.stop();
  }
}

function takeEvent(event: ServerEvent, progress: Progress, io: FollowIo): FollowEvent["type"] | null {
  const decoded = event.data === "" ? null : decodeEvent(event.type, event.data);
  if (!decoded) return null;
  progress.failures = 0;
  if (event.id !== null) progress.cursor = event.id;
  if (decoded.type === "resync") progress.cursor = `${decoded.epoch}:${Math.max(0, decoded.first - 1)}`;
  io.onEvents([decoded]);
  return decoded.type;
}

function reasonOf(error: unknown, silence: AbortSignal): string {
  if (silence.aborted) return `nothing was heard for ${SILENCE_MS / 1000} s`;
  return error instanceof SyntaxError ? "the agent sent an event that is not JSON" : nobodyAnswered().error;
}

/** 4xx is final, but for "too many" and "too slow"; the agent being restarted is not. */
async function refusedOrAway(response: Response): Promise<Outcome> {
  const refusal = await readRefusal(response);
  const final = response.status >= 400 && response.status < 500 && ![408, 429].includes(response.status);
  return final ? { state: "refused", refusal } : { state: "away", reason: refusal.error };
}

function watchSilence(silence: AbortController): { (): void; stop: () => void } {
  const start = () => setTimeout(() => silence.abort(), SILENCE_MS);
  let timer = start();
  const heard = () => {
    clearTimeout(timer);
    timer = start();
  };
  return Object.assign(heard, { stop: () => clearTimeout(timer) });
}

/** A sleep that ends early when the signal is raised, or when the machine comes online or the page into view. */
export function browserSleep(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const wake = () => {
      over.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(wake, millis);
    signal.addEventListener("abort", wake, { signal: over.signal });
    window.addEventListener("online", wake, { signal: over.signal });
    document.addEventListener("visibilitychange", wake, { signal: over.signal });
  });
}
