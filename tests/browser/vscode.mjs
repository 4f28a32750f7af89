// VS Code with our extension, for real: code-server in Chromium, and the ktl-lsp that its settings name.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";

import { endAgent } from "./agent.mjs";
import { launch, openPage } from "./chromium.mjs";

const EXTENSION = join(import.meta.dirname, "../../editors/vscode");
const START_MS = 60_000;

const SETTINGS = {
  "breadcrumbs.enabled": false,
  "editor.fontSize": 15,
  "editor.hover.above": false,
  "editor.minimap.enabled": false,
  "editor.renderWhitespace": "none",
  "extensions.ignoreRecommendations": true,
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "window.menuBarVisibility": "hidden",
  "workbench.activityBar.location": "hidden",
  "workbench.colorTheme": "Default Light Modern",
  "workbench.layoutControl.enabled": false,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/**
 * Opens `workspace` in VS Code with the ktl-lsp in the folder `bin`. What it writes goes into a folder that `close` removes.
 * @param {{codeServer: string, bin: string, workspace: string, settings?: object, viewport?: object}} options
 */
export async function openVsCode({ codeServer, bin, workspace, settings = {}, viewport }) {
  const home = mkdtempSync(join(tmpdir(), "ktl-vscode-"));
  const closers = [() => rmSync(home, { recursive: true, force: true })];
  const close = async () => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    prepare(home, bin, settings);
    const state = process.env.XDG_STATE_HOME ?? join(home, "state");
    // Whoever gives the folder for the agent's state ends the agent.
    if (!process.env.XDG_STATE_HOME) closers.push(() => endAgent(state));
    const server = start(codeServer, home, state, workspace);
    closers.push(() => stop(server));
    const address = await listening(server);
    const browser = await launch();
    closers.push(() => browser.close());
    const { page } = await openPage(browser, { deviceScaleFactor: 2, ...(viewport ? { viewport } : {}) });
    await page.goto(`${address}?folder=${encodeURIComponent(workspace)}`);
    await page.locator(".monaco-workbench").waitFor({ timeout: START_MS });
    return { page, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens a file by its path in the workspace, as a user would: quick open. */
export async function openFile(page, path) {
  const name = basename(path);
  await page.keyboard.press("Control+P");
  await page.locator(".quick-input-widget input").fill(path);
  // The file opened last is offered first until the search has an answer.
  await page.locator(`.quick-input-list .monaco-list-row.focused[aria-label^="${name}"]`).waitFor();
  await page.keyboard.press("Enter");
  await page.locator(`.tab[data-resource-name="${name}"]`).waitFor();
  await page.locator(".editor-instance .view-lines").first().waitFor();
}

/** The rows of the Problems panel, as soon as one of them contains `text`. */
export async function problems(page, text) {
  await page.keyboard.press("Control+Shift+M");
  const rows = page.locator(".markers-panel .monaco-list-row");
  await rows.filter({ hasText: text }).first().waitFor({ timeout: START_MS });
  return rows.allInnerTexts();
}

function prepare(home, bin, settings) {
  const { name, publisher, version } = JSON.parse(readFileSync(join(EXTENSION, "package.json"), "utf8"));
  const extension = join(home, "extensions", `${publisher}.${name}-${version}`);
  writeJson(join(home, "data/User/settings.json"), { ...SETTINGS, ...settings });
  // Which program to start is a setting of the machine, so that no workspace can choose it.
  writeJson(join(home, "data/Machine/settings.json"), { "ktl.serverPath": join(bin, "ktl-lsp") });
  cpSync(join(EXTENSION, "package.json"), join(extension, "package.json"));
  cpSync(join(EXTENSION, "dist"), join(extension, "dist"), { recursive: true });
}

function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(value));
}

function start(codeServer, home, state, workspace) {
  const quiet = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"];
  const folders = ["--extensions-dir", join(home, "extensions"), "--user-data-dir", join(home, "data")];
  const args = ["--bind-addr", "127.0.0.1:0", "--auth", "none", ...quiet, ...folders, workspace];
  const env = {
    ...process.env,
    XDG_STATE_HOME: state,
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_DATA_HOME: join(home, "share"),
  };
  // For the agent that the server will start.
  if (process.env.KTL_TEST_HELM) env.KTL_HELM = process.env.KTL_TEST_HELM;
  // In a group of its own, because code-server starts more processes than it ends.
  return spawn(codeServer, args, { env, detached: true, stdio: ["ignore", "pipe", "inherit"] });
}

function listening(server) {
  return new Promise((resolve, reject) => {
    const said = [];
    const timer = setTimeout(
      () => reject(new Error(`code-server does not listen:\n${said.join("\n")}`)),
      START_MS,
    );
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`code-server ended with ${code}:\n${said.join("\n")}`)));
    createInterface(server.stdout).on("line", (line) => {
      said.push(line);
      const address = /HTTP server listening on (http:\/\/\S+?\/?)$/.exec(line)?.[1];
      if (!address) return;
      clearTimeout(timer);
      resolve(address.endsWith("/") ? address : `${address}/`);
    });
  });
}

async function stop(server) {
  if (server.exitCode !== null || server.pid === undefined) return;
  const gone = new Promise((resolve) => server.once("exit", resolve));
  signal(server.pid, "SIGTERM");
  const timer = setTimeout(() => signal(server.pid, "SIGKILL"), 5000);
  await gone;
  clearTimeout(timer);
  signal(server.pid, "SIGKILL");
}

/** To the whole group; one that is gone already is what was wanted. */
function signal(group, name) {
  try {
    process.kill(-group, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
