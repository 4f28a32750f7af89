// Starts ktl-lsp for this window and puts its commands into the palette. Everything else is LSP.

import * as vscode from "vscode";

import { telling } from "./files";
import { Server } from "./server";
import { Status } from "./status";

/**
 * Palette entries and the server's commands behind them. Their ids differ because the client registers the server's own
 * once it runs, and a command id can be registered only once; an entry of ours also works before that.
 */
const PALETTE = {
  "ktl.palette.apply": "ktl.apply",
  "ktl.palette.cancel": "ktl.cancel",
  "ktl.palette.attach": "ktl.attach",
  "ktl.palette.openReplay": "ktl.openReplay",
  "ktl.palette.showSessions": "ktl.showSessions",
};

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("ktl", { log: true });
  const status = new Status();
  const running = new Server(context.extensionUri, output, status);
  server = running;
  context.subscriptions.push(output, status);
  for (const [entry, command] of Object.entries(PALETTE)) {
    context.subscriptions.push(vscode.commands.registerCommand(entry, () => running.execute(command)));
  }
  context.subscriptions.push(
    vscode.commands.registerCommand("ktl.restart", () => running.restart()),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      const changed = ["ktl.serverPath", "ktl.agent"].some((section) => change.affectsConfiguration(section));
      if (changed) await running.restart();
    }),
  );
  await startWhenNeeded(context, running);
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** YAML is everywhere; a server runs only where there is a release, a chart, or a file of one. */
async function startWhenNeeded(context: vscode.ExtensionContext, server: Server): Promise<void> {
  const isOurs = (document: vscode.TextDocument) => vscode.languages.match(telling, document) > 0;
  const releases = await vscode.workspace.findFiles("**/{.ktl.yaml,Chart.yaml}", "**/node_modules/**", 1);
  if (releases.length > 0 || vscode.workspace.textDocuments.some(isOurs)) {
    await server.start();
    return;
  }
  const opened = vscode.workspace.onDidOpenTextDocument(async (document) => {
    if (!isOurs(document)) return;
    opened.dispose();
    await server.start();
  });
  context.subscriptions.push(opened);
}
