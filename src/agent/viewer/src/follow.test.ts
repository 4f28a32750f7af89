import { describe, expect, test } from "vitest";

import { backoff, type Connection, follow } from "./follow";
import { serverEvents } from "./sse";
import type { FollowEvent } from "./wire";

const FRAME = (seq: number) =>
  `id: 1:${seq}\nevent: frame\ndata: {"epoch":"1","seq":"${seq}","fact":{"line":{"text":"x"}}}\n\n`;
const END = 'event: end\ndata: {"status":"STATUS_DONE"}\n\n';

/** Follows a server that answers one connection after the other; gives what the page was told and what it asked. */
async function run(answers: (() => Response)[]) {
  const asked: (string | null)[] = [];
  const connections: Connection[] = [];
  const events: FollowEvent[] = [];
  const slept: number[] = [];
  const over = new AbortController();
  await follow(
    "s-1",
    {
      fetch: (_path, init) => {
        asked.push(new Headers(init?.headers).get("last-event-id"));
        const answer = answers.shift();
        if (answer) return Promise.resolve().then(answer);
        over.abort();
        return Promise.reject(new Error("no more answers"));
      },
      sleep: (millis) => {
        slept.push(millis);
        return Promise.resolve();
      },
      random: () => 0,
      onEvents: (more) => events.push(...more),
      onConnection: (connection) => connections.push(connection),
    },
    over.signal,
  );
  return { asked, connections, events, slept };
}

const away = () => {
  throw new TypeError("failed to fetch");
};

describe("following", () => {
  test("a recorded session is read to its end and not asked for again", async () => {
    const { asked, connections, events } = await run([() => new Response(FRAME(1) + FRAME(2) + END)]);
    expect(asked).toEqual([null]);
    expect(events.map((event) => event.type)).toEqual(["frame", "frame", "end"]);
    expect(connections.map((connection) => connection.state)).toEqual(["connecting", "open", "ended"]);
  });

  test("a cut connection resumes after the last whole frame", async () => {
    const cut = FRAME(1) + FRAME(2).slice(0, -3);
    const { asked, events } = await run([() => new Response(cut), () => new Response(FRAME(2) + END)]);
    expect(asked).toEqual([null, "1:1"]);
    expect(events.filter((event) => event.type === "frame")).toHaveLength(2);
  });

  test("a replaced history is asked for at once, from before its first frame", async () => {
    const resync = 'event: resync\ndata: {"epoch":"7","first":"5","head":"9"}\n\n';
    const { asked, slept } = await run([() => new Response(resync), () => new Response(END)]);
    expect(asked).toEqual([null, "7:4"]);
    expect(slept).toEqual([]);
  });

  test("an agent that is away is asked again with growing delay until it is back", async () => {
    const { slept, connections } = await run([away, away, away, () => new Response(FRAME(1) + END)]);
    expect(slept).toEqual([500, 1000, 2000]);
    expect(connections.at(-1)).toEqual({ state: "ended" });
  });

  test.each([401, 403, 404, 421])("%i is final and keeps the agent's own words", async (status) => {
    const body = JSON.stringify({ error: "no cookie", next: "open it again" });
    const { asked, connections } = await run([() => new Response(body, { status })]);
    expect(asked).toHaveLength(1);
    expect(connections.at(-1)).toEqual({
      state: "refused",
      refusal: { status, error: "no cookie", next: "open it again" },
    });
  });

  test.each([429, 502, 503])("%i is not final", async (status) => {
    const { asked } = await run([() => new Response("", { status }), () => new Response(END)]);
    expect(asked).toHaveLength(2);
  });

  test("an event that is not JSON is said and tried again, not shown", async () => {
    const { connections } = await run([
      () => new Response("event: frame\ndata: {oops\n\n"),
      () => new Response(END),
    ]);
    expect(connections).toContainEqual(
      expect.objectContaining({ state: "waiting", reason: "the agent sent an event that is not JSON" }),
    );
  });

  test("delays stop growing and differ between pages", () => {
    expect(backoff(20, 0)).toBe(15_000);
    expect(backoff(20, 1)).toBe(7_500);
  });
});

describe("server-sent events", () => {
  async function parse(...chunks: string[]) {
    const bytes = new TextEncoder().encode(chunks.join(""));
    const sizes = chunks.map((chunk) => new TextEncoder().encode(chunk).length);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const size of sizes) controller.enqueue(bytes.slice(at, (at += size)));
        controller.close();
      },
    });
    const found = [];
    for await (const event of serverEvents(body)) found.push(event);
    return found;
  }

  test("line ends of all three kinds, comments and several data lines are read", async () => {
    const found = await parse(": hi\r\n\r\nevent: a\rdata: 1\r", "\ndata:2\n\n");
    expect(found).toEqual([{ type: "a", data: "1\n2", id: null, retry: null }]);
  });

  test("a CR LF that is cut in two is one line end", async () => {
    const found = await parse("data: 1\r", "\ndata: 2\r", "\n\r", "\n");
    expect(found.map((event) => event.data)).toEqual(["1\n2"]);
  });

  test("an event that the end cuts off is not an event", async () => {
    expect(await parse("data: whole\n\ndata: half\n")).toHaveLength(1);
  });
});
