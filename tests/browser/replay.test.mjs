// The replay page in a real browser, served by a real agent, opened the way an editor opens it.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { launch, openPage } from "./chromium.mjs";
import { openEditor } from "./editor.mjs";
import { BROKEN, createWorkspace, WHOLE } from "./workspace.mjs";

const { KTL_TEST_BIN: bin, KTL_TEST_KUBECONFIG: kubeconfig } = process.env;
const END_MS = 120_000;

/** Why these tests cannot run here; with CI=true that is a failure. */
function lacking() {
  if (!bin) return "KTL_TEST_BIN is not set; `cargo xtask test` sets it";
  if (!kubeconfig) return "KTL_TEST_KUBECONFIG is not set; `cargo xtask test` sets it";
  const missing = ["ktl-lsp", "ktl-agent"].find((name) => !existsSync(join(bin, name)));
  return missing ? `there is no ${missing} in KTL_TEST_BIN, ${bin}` : null;
}

const why = lacking();
if (why && process.env.CI === "true") throw new Error(`with CI=true nothing is skipped: ${why}`);
if (why) console.error(`skipped: ${why}`);

describe("the replay page", { skip: why ?? false }, () => {
  let browser;
  const namespace = `browser-${process.pid}`;
  const keys = [
    `namespace: ${namespace}`,
    `cluster: { name: test, kubeconfig: ${kubeconfig} }`,
    "apply: { createNamespace: true, timeout: 2m }",
  ];

  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  /** An apply with these values, and the address that the editor is asked to open. */
  async function apply(context, values) {
    const workspace = createWorkspace({ values, keys });
    const editor = await openEditor({ bin, workspace: workspace.folder, home: workspace.home });
    context.after(async () => {
      // The agent is found through the workspace's home, so that goes last.
      await editor.close();
      workspace.remove();
    });
    const { sessionId } = await editor.run("ktl.apply");
    assert.ok(sessionId, "an apply is answered with its session");
    return { sessionId, editor, address: await editor.openReplay(sessionId) };
  }

  /** A page of a browser that was never here, and the origins that it asked. */
  async function visit(context, address) {
    const { page, problems, close } = await openPage(browser);
    context.after(close);
    const origins = new Set();
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    await page.goto(address);
    return { page, problems, origins };
  }

  test("shows a failure with its place, over the agent alone and without an error", async (context) => {
    const { address, sessionId } = await apply(context, BROKEN);
    const { page, problems, origins } = await visit(context, address);
    await page.getByRole("status").filter({ hasText: "failed" }).waitFor({ timeout: END_MS });
    await page.getByText("values.yaml:4:2").first().waitFor();
    assert.equal(await page.locator("mark").first().innerText(), "limits");
    await page.getByText("recorded").waitFor();
    assert.match(await page.title(), /greeter · apply/);
    assert.ok((await page.locator("header").innerText()).includes(sessionId));
    assert.deepEqual([...origins], [new URL(address).origin]);
    assert.deepEqual(problems, []);
  });

  test("drops the code from the address, and the cookie is enough from then on", async (context) => {
    const { address } = await apply(context, BROKEN);
    const { page } = await visit(context, address);
    await page.getByRole("status").filter({ hasText: "failed" }).waitFor({ timeout: END_MS });
    assert.equal(new URL(page.url()).hash, "");
    const cookies = await page.context().cookies();
    assert.deepEqual(
      cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite })),
      [{ name: "ktl_session", httpOnly: true, sameSite: "Strict" }],
    );
    await page.reload();
    await page.getByText("values.yaml:4:2").first().waitFor();
  });

  test("says how to get in when the code was used already, and without any", async (context) => {
    const { address } = await apply(context, BROKEN);
    const first = await visit(context, address);
    await first.page.getByRole("status").filter({ hasText: "failed" }).waitFor({ timeout: END_MS });
    for (const again of [address, address.split("#")[0]]) {
      const { page } = await visit(context, again);
      await page.getByRole("alert").filter({ hasText: "This page is locked" }).waitFor();
      await page.getByText("ktl.openReplay").waitFor();
      assert.ok(!(await page.locator("body").innerText()).includes("values.yaml"));
    }
  });

  test("follows a running apply to its end without being reloaded", async (context) => {
    const { address } = await apply(context, WHOLE);
    const { page, problems } = await visit(context, address);
    await page.getByRole("status").filter({ hasText: "done" }).waitFor({ timeout: END_MS });
    const phases = page.getByRole("list", { name: "phases" });
    for (const phase of ["sources", "render", "upgrade", "rollout"]) {
      await phases.locator("li.good", { hasText: phase }).waitFor();
    }
    await page.getByText("ConfigMap greeter").waitFor();
    await page.getByText("1 of 1 ready").waitFor();
    assert.deepEqual(problems, []);
  });
});
