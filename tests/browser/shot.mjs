// Pictures for the README, of the real things:
//
//   node shot.mjs replay (--url URL | --bin FOLDER --workspace FOLDER) --out FILE [--scheme dark]
//   node shot.mjs squiggle --code-server PROGRAM --bin FOLDER --workspace FOLDER --out FILE
//                          [--file values.yaml] [--beside .ktl.yaml] [--apply]
//
// `replay` takes the address that an editor is asked to open, code included, or applies the one release of `--workspace`
// itself, and waits for the end of the session.
// `squiggle` opens VS Code with `--beside` on the left and `--file` on the right, and points at the fault in the latter;
// with `--apply` it clicks the lens first, so that the fault is the run's.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { launch, openPage } from "./chromium.mjs";
import { openEditor } from "./editor.mjs";
import { openFile, openVsCode } from "./vscode.mjs";

const PATIENCE_MS = 120_000;

const text = { type: "string" };
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    url: text,
    out: text,
    scheme: { ...text, default: "light" },
    "code-server": text,
    bin: text,
    workspace: text,
    file: { ...text, default: "values.yaml" },
    beside: { ...text, default: ".ktl.yaml" },
    apply: { type: "boolean", default: false },
  },
});

function needed(...names) {
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length > 0) throw new Error(`missing: ${missing.map((name) => `--${name}`).join(", ")}`);
}

async function replay() {
  needed("out");
  if (values.url) return photograph(values.url);
  needed("bin", "workspace");
  const home = mkdtempSync(join(tmpdir(), "ktl-shot-"));
  const editor = await openEditor({ bin: values.bin, workspace: values.workspace, home });
  try {
    const { sessionId } = await editor.run("ktl.apply");
    await photograph(await editor.openReplay(sessionId));
  } finally {
    await editor.close();
    rmSync(home, { recursive: true, force: true });
  }
}

async function photograph(url) {
  const browser = await launch();
  try {
    const viewport = { width: 1200, height: 940 };
    const { page } = await openPage(browser, { viewport, colorScheme: values.scheme, deviceScaleFactor: 2 });
    await page.goto(url);
    await page.getByText("recorded").waitFor({ timeout: PATIENCE_MS });
    await page.evaluate(() => document.fonts.ready);
    // As much of the page as reads well beside text.
    await page.screenshot({ path: values.out, clip: { x: 0, y: 0, ...viewport } });
  } finally {
    await browser.close();
  }
}

async function squiggle() {
  needed("code-server", "bin", "workspace", "out");
  const { page, close } = await openVsCode({
    codeServer: values["code-server"],
    bin: values.bin,
    workspace: values.workspace,
    viewport: { width: 1180, height: 420 },
    settings: { "workbench.sideBar.visible": false, "workbench.statusBar.visible": true },
  });
  try {
    await openFile(page, values.beside);
    await page.keyboard.press("Control+B");
    const lens = page.locator(".codelens-decoration a", { hasText: "Apply" }).first();
    if (values.apply) {
      await lens.waitFor({ timeout: PATIENCE_MS });
      await lens.click();
      await page
        .locator(".codelens-decoration a", { hasText: "failed" })
        .first()
        .waitFor({ timeout: PATIENCE_MS });
    }
    await page.keyboard.press("Control+\\");
    await openFile(page, values.file);
    const fault = page.locator(".squiggly-error").last();
    await fault.waitFor({ state: "attached", timeout: PATIENCE_MS });
    await point(page, fault);
    await page.screenshot({ path: values.out });
  } catch (error) {
    await page.screenshot({ path: `${values.out}.failed.png` });
    throw error;
  } finally {
    await close();
  }
}

/** Rests the pointer on the fault until VS Code says what is wrong with it. */
async function point(page, fault) {
  const box = await fault.boundingBox();
  if (!box) throw new Error("the fault is not on the screen");
  const words = page.locator(".monaco-hover:visible .hover-contents").first();
  // VS Code overlooks a pointer that has always been there.
  for (let attempt = 0; attempt < 5 && !(await words.isVisible()); attempt += 1) {
    await page.mouse.move(box.x + 40, box.y + 120);
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 8 });
    await words.waitFor({ timeout: 3000 }).catch(() => {});
  }
  await words.waitFor();
}

const pictures = { replay, squiggle };
const take = pictures[positionals[0]];
if (!take)
  throw new Error(`expected ${Object.keys(pictures).join(" or ")}, found ${positionals[0] ?? "nothing"}`);
await take();
