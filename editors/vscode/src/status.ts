// One line in the language status: what ktl-lsp is doing. Runs show themselves, as progress of the server.

import * as vscode from "vscode";
import { State } from "vscode-languageclient/node";

import { telling } from "./files";

export type ServerState = { state: State } | { problem: string };

export class Status implements vscode.Disposable {
  readonly #item = vscode.languages.createLanguageStatusItem("ktl.server", telling);

  constructor() {
    this.#item.name = "ktl";
    this.show({ state: State.Stopped });
  }

  show(server: ServerState): void {
    const item = this.#item;
    item.busy = "state" in server && server.state === State.Starting;
    if ("problem" in server) {
      item.text = "ktl-lsp is not there";
      item.detail = server.problem;
      item.severity = vscode.LanguageStatusSeverity.Error;
    } else {
      item.text = WORDS[server.state];
      item.detail = "ktl";
      const running = server.state !== State.Stopped;
      item.severity = running
        ? vscode.LanguageStatusSeverity.Information
        : vscode.LanguageStatusSeverity.Warning;
    }
    item.command = { command: "ktl.restart", title: "Restart" };
  }

  dispose(): void {
    this.#item.dispose();
  }
}

const WORDS: Record<State, string> = {
  [State.Stopped]: "ktl-lsp is stopped",
  [State.Starting]: "ktl-lsp is starting",
  [State.Running]: "ktl-lsp is running",
  [State.StartFailed]: "ktl-lsp did not start",
};
