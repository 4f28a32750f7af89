// Serves the built page with sessions from fixtures/frames, for looking at it and for screenshots. Development only:
// the real server is ktl-agent, and what is promised of it is tested against it (tests/browser).
//
//   node scripts/serve.mjs [PORT]     then open /s/image-pull, ..., or /s/slow-image-pull for one that runs
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const frames = join(import.meta.dirname, "../../../../fixtures/frames");
const ids = readdirSync(frames).map((name) => name.replace(/\.jsonl$/, ""));

function framesOf(id) {
  return readFileSync(join(frames, `${id}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");
}

function sessionOf(id) {
  const all = framesOf(id).map((line) => JSON.parse(line));
  const started = all.find((frame) => frame.fact.started)?.fact.started ?? {};
  const last = all.at(-1);
  return {
    session_id: id,
    epoch: last.epoch,
    head: last.seq,
    status: last.fact.ended?.status ?? "STATUS_RUNNING",
    message: last.fact.ended?.message,
    created_unix_nano: all[0].at_unix_nano,
    last_seen_unix_nano: last.at_unix_nano,
    completed_unix_nano: last.at_unix_nano,
    meta: { command: started.operation, ...started },
  };
}

async function sendEvents(id, slow, response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("retry: 1000\n\n");
  const all = framesOf(id);
  for (const line of all) {
    const { epoch, seq, fact } = JSON.parse(line);
    if (slow && fact.ended) return;
    response.write(`id: ${epoch}:${seq}\nevent: frame\ndata: ${line}\n\n`);
    if (slow && Number(seq) > 4) await sleep(200);
  }
  response.write(`event: caught_up\ndata: {"head":"${all.length}"}\n\n`);
  const { status, exit_code, message } = JSON.parse(all.at(-1)).fact.ended;
  response.end(`event: end\ndata: ${JSON.stringify({ status, exit_code, message })}\n\n`);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  const [, id, rest] = /^\/api\/v1\/sessions\/([^/]+)(\/events)?$/.exec(url.pathname) ?? [];
  const json = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (url.pathname === "/api/v1/sessions") return json(200, { sessions: ids.map(sessionOf) });
  if (id === "locked") return json(401, { error: "no session of this browser is known", next: "" });
  const recorded = id?.replace(/^slow-/, "");
  if (id && !ids.includes(recorded)) return json(404, { error: `there is no session ${id}`, next: "" });
  if (id && rest) return void sendEvents(recorded, id !== recorded, response);
  if (id) return json(200, sessionOf(recorded));
  response.writeHead(200, { "content-type": "text/html" });
  response.end(readFileSync(join(import.meta.dirname, "../dist/index.html")));
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
