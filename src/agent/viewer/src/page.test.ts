// The components, mounted: what a frame says is text on the page whatever it says.

import { flushSync, mount, unmount } from "svelte";
import { afterEach, expect, test, vi } from "vitest";

import App from "./App.svelte";
import type { Route } from "./route";
import { transcriptLines } from "./transcripts";

/** An agent that has one recorded session of each transcript, and whatever else a test answers itself. */
function agent(answers: Record<string, () => Response> = {}) {
  const asked: { path: string; body: string }[] = [];
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    asked.push({ path, body: typeof init?.body === "string" ? init.body : "" });
    const answer = answers[path];
    if (answer) return Promise.resolve(answer());
    const id = /sessions\/([^/]+)\/events$/.exec(path)?.[1];
    if (id === undefined)
      return Promise.resolve(Response.json({ error: "no such session" }, { status: 404 }));
    const events = transcriptLines(id).map(
      (line, index) => `id: 1:${index + 1}\nevent: frame\ndata: ${line}\n\n`,
    );
    return Promise.resolve(new Response(events.join("")));
  });
  return asked;
}

let page: ReturnType<typeof mount> | undefined;

function open(route: Route, code: string | null = null): void {
  page = mount(App, { target: document.body, props: { route, code } });
  flushSync();
}

async function shows(text: string): Promise<void> {
  await vi.waitFor(() => expect(document.body.textContent).toContain(text));
}

afterEach(async () => {
  if (page) await unmount(page);
  page = undefined;
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

test("hostile words of every field stay words", async () => {
  agent();
  open({ page: "session", id: "hostile" });
  await shows("<img src=x");
  await vi.waitFor(() => expect(document.querySelectorAll(".card").length).toBeGreaterThan(3));
  expect(document.querySelectorAll("img, script, iframe, object, embed")).toHaveLength(0);
  const addresses = [...document.querySelectorAll("a")].map((link) => link.getAttribute("href") ?? "");
  expect(addresses.filter((address) => !address.startsWith("/"))).toEqual([]);
  const attributes = [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes]);
  expect(attributes.filter((attribute) => attribute.name.startsWith("on"))).toEqual([]);
  expect("harm" in window).toBe(false);
});

test("a failure shows its place, its words and the underlined range", async () => {
  agent();
  open({ page: "session", id: "values-syntax" });
  await shows("values/dev.yaml:4:2");
  expect(document.querySelector("mark")?.textContent).toBe("tag");
  expect(document.querySelector("[role=status]")?.textContent).toContain("failed");
  expect(document.title).toBe("✕ checkout · apply · ktl");
});

test("a code is posted once with its session, and the page opens", async () => {
  const asked = agent({ "/api/v1/auth/code": () => new Response(null, { status: 204 }) });
  open({ page: "session", id: "apply-green" }, "abc");
  await shows("is applied and ready");
  const posts = asked.filter((request) => request.path === "/api/v1/auth/code");
  expect(posts.map((post) => JSON.parse(post.body) as unknown)).toEqual([
    { session_id: "apply-green", code: "abc" },
  ]);
});

test("a used code says so and how to get in", async () => {
  const refused = () =>
    Response.json({ error: "this code was used already", next: "ask for a new link" }, { status: 401 });
  const locked = () => Response.json({ error: "not signed in", next: "" }, { status: 401 });
  agent({
    "/api/v1/auth/code": refused,
    "/api/v1/sessions/s-1/events": locked,
    "/api/v1/sessions/s-1": locked,
  });
  open({ page: "session", id: "s-1" }, "used");
  await shows("this code was used already");
  expect(document.body.textContent).toContain("ask for a new link");
});

test("a refusal without a next step still says how to get in", async () => {
  const locked = () => new Response("proxy says no", { status: 401 });
  agent({ "/api/v1/sessions/s-1/events": locked, "/api/v1/sessions/s-1": locked });
  open({ page: "session", id: "s-1" });
  await shows("ktl.openReplay");
  expect(document.body.textContent).toContain("ktl-lsp sessions show s-1");
});

test("a code for the list is posted without a session", async () => {
  const asked = agent({
    "/api/v1/auth/code": () => new Response(null, { status: 204 }),
    "/api/v1/sessions?limit=200": () => Response.json({}),
  });
  open({ page: "sessions" }, "abc");
  await shows("No session yet");
  expect(JSON.parse(asked[0]?.body ?? "{}")).toEqual({ session_id: "", code: "abc" });
});

test("a used code is no matter to a browser that is in already", async () => {
  agent({ "/api/v1/auth/code": () => Response.json({ error: "used" }, { status: 401 }) });
  open({ page: "session", id: "apply-green" }, "used");
  await shows("is applied and ready");
  expect(document.querySelector("[role=alert]")).toBeNull();
});

test("the list links each session and finds them by any word", async () => {
  const sessions = [
    { session_id: "a:1", status: "STATUS_ERROR", meta: { command: "apply", release: "shop" } },
    {
      session_id: "b",
      status: "STATUS_DONE",
      meta: { command: "apply", release: "cart" },
      tags: { team: "blue" },
    },
  ];
  agent({ "/api/v1/sessions?limit=200": () => Response.json({ sessions }) });
  open({ page: "sessions" });
  await shows("apply shop");
  expect([...document.querySelectorAll("td a")].map((link) => link.getAttribute("href"))).toEqual([
    "/s/a%3A1",
    "/s/b",
  ]);
  const search = document.querySelector("input");
  if (!search) throw new Error("the list has a search field");
  search.value = "team=blue";
  search.dispatchEvent(new Event("input", { bubbles: true }));
  flushSync();
  expect([...document.querySelectorAll("td a")].map((link) => link.getAttribute("href"))).toEqual(["/s/b"]);
});
