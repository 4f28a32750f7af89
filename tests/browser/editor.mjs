// An editor without a screen: starts ktl-lsp in a workspace, runs its commands, and keeps what it is asked to open.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import {
  createProtocolConnection,
  ExecuteCommandRequest,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  RegistrationRequest,
  ShowDocumentRequest,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  WorkDoneProgressCreateRequest,
} from "vscode-languageserver-protocol/node";

import { endAgent, until } from "./agent.mjs";

const ENDS_MS = 10_000;

/** Starts the ktl-lsp in `bin` for `workspace`, with the agent of `home`. */
export async function openEditor({ bin, workspace, home }) {
  const env = { ...process.env, XDG_STATE_HOME: home };
  // For the agent that the server will start.
  if (process.env.KTL_TEST_HELM) env.KTL_HELM = process.env.KTL_TEST_HELM;
  const server = spawn(join(bin, "ktl-lsp"), [], { cwd: workspace, env, stdio: ["pipe", "pipe", "inherit"] });
  const connection = createProtocolConnection(
    new StreamMessageReader(server.stdout),
    new StreamMessageWriter(server.stdin),
  );
  const shown = [];
  connection.onRequest(WorkDoneProgressCreateRequest.type, () => {});
  connection.onRequest(RegistrationRequest.type, () => {});
  connection.onRequest(ShowDocumentRequest.type, ({ uri }) => {
    shown.push(uri);
    return { success: true };
  });
  connection.listen();
  const uri = pathToFileURL(workspace).href;
  await connection.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    rootUri: uri,
    workspaceFolders: [{ uri, name: "workspace" }],
    capabilities: { window: { workDoneProgress: true, showDocument: { support: true } } },
  });
  await connection.sendNotification(InitializedNotification.type, {});

  const run = (command, argument = {}) =>
    connection.sendRequest(ExecuteCommandRequest.type, { command, arguments: [argument] });

  return {
    run,
    /**
     * The address, code included, that the server wants opened for a session. A command is answered before the agent has
     * heard of its session, and until then there is no page of it: like a user, this asks again.
     */
    openReplay(sessionId) {
      const before = shown.length;
      return until("the address of the replay", 20_000, async () => {
        await run("ktl.openReplay", { sessionId });
        await sleep(300);
        return shown[before];
      });
    },
    /** Ends the server, then the agent that it started, which would outlive it. */
    async close() {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      const timer = setTimeout(() => server.kill("SIGKILL"), ENDS_MS);
      if (server.exitCode === null) {
        await connection.sendRequest(ShutdownRequest.type);
        await connection.sendNotification(ExitNotification.type);
        await gone;
      }
      clearTimeout(timer);
      connection.dispose();
      await endAgent(home);
    },
  };
}
