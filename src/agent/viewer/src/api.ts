// The agent's HTTP, as this page uses it. Every answer is a value; what is not 2xx is a `Refusal` with the agent's own
// words and next step.

import { decodeSession, decodeSessions, type Json, type Session } from "./wire";

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

/** What the agent answered instead: `status` is the HTTP code, 0 when nobody answered. */
export type Refusal = { status: number; error: string; next: string };

export type Answer<Value> = { ok: true; value: Value } | { ok: false; refusal: Refusal };

export function sessionPath(id: string): string {
  return `/api/v1/sessions/${encodeURIComponent(id)}`;
}

export async function getSession(fetch: Fetch, id: string): Promise<Answer<Session>> {
  return get(fetch, sessionPath(id), decodeSession);
}

export async function listSessions(fetch: Fetch): Promise<Answer<Session[]>> {
  return get(fetch, "/api/v1/sessions?limit=200", decodeSessions);
}

/** Turns the one-time code of the fragment into the browser's cookie. `id` is empty for the list of all sessions. */
export async function redeemCode(fetch: Fetch, id: string, code: string): Promise<Answer<null>> {
  try {
    const response = await fetch("/api/v1/auth/code", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ session_id: id, code }),
    });
    return response.ok ? { ok: true, value: null } : { ok: false, refusal: await readRefusal(response) };
  } catch {
    return { ok: false, refusal: nobodyAnswered() };
  }
}

export async function readRefusal(response: Response): Promise<Refusal> {
  const fallback = `the agent answered ${response.status} ${response.statusText}`.trimEnd();
  try {
    const json = (await response.json()) as { error?: unknown; next?: unknown };
    return {
      status: response.status,
      error: typeof json.error === "string" && json.error !== "" ? json.error : fallback,
      next: typeof json.next === "string" ? json.next : "",
    };
  } catch {
    return { status: response.status, error: fallback, next: "" };
  }
}

export function nobodyAnswered(): Refusal {
  return { status: 0, error: "the agent does not answer", next: "" };
}

async function get<Value>(fetch: Fetch, path: string, decode: (json: Json) => Value): Promise<Answer<Value>> {
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    if (!response.ok) return { ok: false, refusal: await readRefusal(response) };
    return { ok: true, value: decode((await response.json()) as Json) };
  } catch {
    return { ok: false, refusal: nobodyAnswered() };
  }
}
