// A page of another origin, in a real browser: it reads from an agent that was told its name, and from no other.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

import { launch, openPage } from "./chromium.mjs";

const { KTL_TEST_BIN: bin } = process.env;
const TOKEN = "a-token-for-tests";
const PAGE = readFileSync(new URL("../../src/agent/examples/page.html", import.meta.url));

/** Why these tests cannot run here; with CI=true that is a failure. */
function lacking() {
  if (!bin) return "KTL_TEST_BIN is not set; `cargo xtask test` sets it";
  return existsSync(join(bin, "ktl-agent")) ? null : `there is no ktl-agent in KTL_TEST_BIN, ${bin}`;
}

const why = lacking();
if (why && process.env.CI === "true") throw new Error(`with CI=true nothing is skipped: ${why}`);
if (why) console.error(`skipped: ${why}`);

describe("a page of another origin", { skip: why ?? false }, () => {
  let browser;
  let site;
  let origin;

  before(async () => {
    browser = await launch();
    site = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(PAGE));
    await new Promise((listening) => site.listen(0, "127.0.0.1", listening));
    origin = `http://127.0.0.1:${site.address().port}`;
  });
  after(async () => {
    await browser.close();
    site.close();
  });

  /** A running agent, and its address. */
  async function agent(context, ...args) {
    const folder = mkdtempSync(join(tmpdir(), "ktl-origin-"));
    const token = join(folder, "token");
    writeFileSync(token, TOKEN, { mode: 0o600 });
    const all = ["--listen", "127.0.0.1:0", "--data", join(folder, "data"), "--token-file", token, ...args];
    const child = spawn(join(bin, "ktl-agent"), all, { stdio: ["ignore", "pipe", "ignore"] });
    context.after(async () => {
      const ended = new Promise((exit) => child.once("exit", exit));
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    });
    for await (const line of createInterface(child.stdout)) return JSON.parse(line).ready.http;
    throw new Error("the agent ended before it was ready");
  }

  /** The page, after it was asked to follow. */
  async function follow(context, address, token) {
    const { page, problems, close } = await openPage(browser);
    context.after(close);
    await page.goto(origin);
    await page.fill("[name=agent]", address);
    await page.fill("[name=session]", "nope");
    await page.fill("[name=token]", token);
    await page.click("button");
    return { page, problems };
  }

  test("reads what an agent answers that was told its name", async (context) => {
    const address = await agent(context, "--allow-origin", origin);
    const { page } = await follow(context, address, TOKEN);
    await page.getByText("refused: session nope is not known").waitFor({ timeout: 10_000 });
    const stranger = await follow(context, address, "guess");
    await stranger.page.getByText("refused: invalid authentication token").waitFor({ timeout: 10_000 });
  });

  test("is told nothing by an agent that was not", async (context) => {
    const address = await agent(context, "--allow-origin", "http://127.0.0.1:1");
    const { page, problems } = await follow(context, address, TOKEN);
    const deadline = Date.now() + 10_000;
    while (!problems.some((text) => text.includes("CORS policy")) && Date.now() < deadline) {
      await new Promise((later) => setTimeout(later, 50));
    }
    assert.ok(problems.some((text) => text.includes("CORS policy")), problems.join("\n"));
    assert.equal(await page.textContent("#state"), "");
  });
});
