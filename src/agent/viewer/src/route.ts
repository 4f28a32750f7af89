// Which page this is, from the address alone. The one-time code lives in the fragment, which no server ever sees.

export type Route = { page: "sessions" } | { page: "session"; id: string };

export function route(path: string): Route {
  const id = /^\/s\/([^/]+)\/?$/.exec(path)?.[1];
  if (id === undefined) return { page: "sessions" };
  try {
    return { page: "session", id: decodeURIComponent(id) };
  } catch {
    return { page: "session", id };
  }
}

/** The code in `#k=CODE`; null where there is none. */
export function codeOf(fragment: string): string | null {
  const code = new URLSearchParams(fragment.replace(/^#/, "")).get("k");
  return code === "" ? null : code;
}
