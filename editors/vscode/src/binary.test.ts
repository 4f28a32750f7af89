import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { findBinary, type Places } from "./binary";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ktl-vscode-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function program(folder: string, mode = 0o755): string {
  const path = join(root, folder, "ktl-lsp");
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, mode);
  return path;
}

function find(places: Partial<Places>) {
  return findBinary({
    setting: "",
    extension: join(root, "extension"),
    path: "",
    platform: "linux",
    ...places,
  });
}

test("the setting beats what comes with the extension, and that beats PATH", async () => {
  const [set, bundled, path] = [program("set"), program("extension/bin"), program("path")];
  const PATH = join(root, "path");
  expect(await find({ setting: set, path: PATH })).toEqual({ found: true, path: set });
  expect(await find({ path: PATH })).toEqual({ found: true, path: bundled });
  rmSync(bundled);
  expect(await find({ path: PATH })).toEqual({ found: true, path });
});

test("a setting that names no program is said, not passed over", async () => {
  program("path");
  const places = { path: join(root, "path") };
  for (const setting of [join(root, "missing"), root, program("plain", 0o644)]) {
    expect(await find({ ...places, setting })).toMatchObject({ found: false });
  }
  expect(await find({ ...places, setting: "bin/ktl-lsp" })).toEqual({
    found: false,
    problem: 'ktl.serverPath is "bin/ktl-lsp"; it has to be an absolute path.',
  });
});

test("folders of PATH that depend on the working directory are not searched", async () => {
  program("path");
  expect(await find({ path: ["", ".", "path"].join(delimiter) })).toMatchObject({
    problem: "ktl-lsp is neither in PATH nor named by the setting ktl.serverPath.",
  });
});

test("on Windows the program has its ending", async () => {
  expect(await find({ platform: "win32" })).toMatchObject({
    problem: expect.stringContaining("ktl-lsp.exe") as string,
  });
});
