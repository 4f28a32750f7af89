// Finds the ktl-lsp program: the setting, the one that comes with the extension, then PATH. Knows nothing of VS Code.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

export type Places = {
  /** `ktl.serverPath`; empty when it is not set. */
  setting: string;
  /** The extension's own folder. */
  extension: string;
  /** PATH. */
  path: string;
  platform: NodeJS.Platform;
};

export type Found = { found: true; path: string } | { found: false; problem: string };

/** The program to start, or what is wrong and what to do. A setting that names no program is never passed over. */
export async function findBinary({ setting, extension, path, platform }: Places): Promise<Found> {
  const name = platform === "win32" ? "ktl-lsp.exe" : "ktl-lsp";
  if (setting !== "") return fromSetting(setting);
  const folders = path.split(delimiter).filter(isAbsolute);
  for (const folder of [join(extension, "bin"), ...folders]) {
    const candidate = join(folder, name);
    if (await isProgram(candidate)) return { found: true, path: candidate };
  }
  return { found: false, problem: `${name} is neither in PATH nor named by the setting ktl.serverPath.` };
}

async function fromSetting(setting: string): Promise<Found> {
  const path = setting.replace(/^~(?=$|[/\\])/, homedir());
  if (!isAbsolute(path))
    return { found: false, problem: `ktl.serverPath is "${setting}"; it has to be an absolute path.` };
  if (await isProgram(path)) return { found: true, path };
  return { found: false, problem: `ktl.serverPath is "${setting}", which is not a program that can be run.` };
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
