// The one ktl-lsp of this window: started when it is first needed, restarted when asked, ended with the extension.

import * as vscode from "vscode";
import { ExecuteCommandRequest, LanguageClient, TransportKind } from "vscode-languageclient/node";

import { findBinary } from "./binary";
import { files } from "./files";
import type { Status } from "./status";

export class Server {
  /** Set from the first start on. Whoever needs the server awaits this one start, however many they are. */
  #client: Promise<LanguageClient | null> | null = null;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly output: vscode.LogOutputChannel,
    private readonly status: Status,
  ) {}

  /** The running client; null when there is none, which the user was then told. */
  start(): Promise<LanguageClient | null> {
    this.#client ??= this.#launch();
    return this.#client;
  }

  /**
   * Asks the server to run one of its commands. What follows comes from it as progress and messages; a refusal is shown
   * here, because VS Code would put the error of a palette entry into a dialog over everything.
   */
  async execute(command: string): Promise<void> {
    const client = await this.start();
    try {
      await client?.sendRequest(ExecuteCommandRequest.type, { command, arguments: [] });
    } catch (error) {
      void vscode.window.showWarningMessage(`ktl: ${reasonOf(error)}`);
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    const client = await this.#client;
    this.#client = null;
    if (client?.needsStop()) await client.stop();
    await client?.dispose();
  }

  async #launch(): Promise<LanguageClient | null> {
    const settings = vscode.workspace.getConfiguration("ktl");
    const binary = await findBinary({
      setting: settings.get("serverPath", "").trim(),
      extension: this.extension.fsPath,
      path: process.env["PATH"] ?? "",
      platform: process.platform,
    });
    if (!binary.found) return this.#missing(binary.problem);
    const client = new LanguageClient(
      "ktl",
      "ktl",
      { command: binary.path, transport: TransportKind.stdio },
      {
        documentSelector: files,
        outputChannel: this.output,
        initializationOptions: { agent: settings.get("agent", {}) },
      },
    );
    client.onDidChangeState(({ newState }) => this.status.show({ state: newState }));
    try {
      await client.start();
      return client;
    } catch (error) {
      return this.#missing(`${binary.path} did not start: ${reasonOf(error)}`);
    }
  }

  #missing(problem: string): null {
    this.status.show({ problem });
    // The next one who needs the server looks again: meanwhile it may have been installed.
    this.#client = null;
    void this.#offerWaysOut(problem);
    return null;
  }

  async #offerWaysOut(problem: string): Promise<void> {
    const [settings, again] = ["Open settings", "Try again"];
    const chosen = await vscode.window.showErrorMessage(`ktl: ${problem}`, settings, again);
    if (chosen === settings)
      await vscode.commands.executeCommand("workbench.action.openSettings", "ktl.serverPath");
    if (chosen === again) await this.start();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
