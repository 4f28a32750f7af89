// A real Chromium that talks to this machine only.
import { chromium } from "playwright-core";

const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  // Tests run as root in containers, where Chromium's own sandbox cannot start.
  "--no-sandbox",
];

/** @returns {Promise<import("playwright-core").Browser>} */
export function launch() {
  const executablePath = process.env.KTL_TEST_CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: QUIET });
}

/** A page of a visitor who was never here; what goes wrong on it stands in `problems`. `close` ends the visit. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  return { page, problems, close: () => context.close() };
}
