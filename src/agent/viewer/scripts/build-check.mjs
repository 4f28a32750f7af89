// Proves that the committed page is what its sources build: cargo embeds dist/index.html without running Node.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build } from "vite";

const fresh = mkdtempSync(join(tmpdir(), "ktl-viewer-"));
try {
  await build({ logLevel: "warn", build: { outDir: fresh, emptyOutDir: true } });
  const [built, committed] = [join(fresh, "index.html"), "dist/index.html"].map((path) => readFileSync(path));
  if (!built.equals(committed)) {
    console.error(
      `dist/index.html (${committed.length} bytes) is not what the sources build (${built.length} bytes): ` +
        "run `npm run build` in src/agent/viewer and commit it",
    );
    process.exitCode = 1;
  } else {
    console.log(`dist/index.html is what the sources build: ${built.length} bytes`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
