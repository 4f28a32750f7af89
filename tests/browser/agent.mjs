// The agent that ktl-lsp starts for its user, which outlives the editor and must not outlive a test.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const ENDS_MS = 10_000;

/** Ends the agent whose state is below `home`, if one was started there. */
export async function endAgent(home) {
  const pid = agentOf(home)?.pid;
  if (pid === undefined || !isAlive(pid)) return;
  process.kill(pid, "SIGTERM");
  await until("the agent to end", ENDS_MS, () => !isAlive(pid));
}

/** Asks again and again; the first answer that is something. */
export async function until(what, millis, probe) {
  const deadline = Date.now() + millis;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`waited ${millis} ms in vain for ${what}`);
    await sleep(50);
  }
}

/** What the agent said of itself; null where none was started. */
function agentOf(home) {
  try {
    return JSON.parse(readFileSync(join(home, "ktl/agent.json"), "utf8"));
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
