import { createHash } from "node:crypto";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";
import { defineConfig } from "vitest/config";

/**
 * Writes the page's own Content-Security-Policy: it runs exactly the one script it was built with, loads
 * nothing, and talks only to the agent that served it. Svelte sets style attributes, hence `unsafe-inline` there.
 */
function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    enforce: "post",
    apply: "build",
    generateBundle: {
      // After the script was put into the page.
      order: "post",
      handler(_options, bundle) {
        const page = bundle["index.html"];
        if (page?.type !== "asset" || typeof page.source !== "string") this.error("index.html was not built");
        const scripts = [...page.source.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)];
        const [script] = scripts;
        if (script?.[1] === undefined || scripts.length !== 1)
          this.error(`expected one inline script, found ${scripts.length}`);
        const hash = createHash("sha256").update(script[1]).digest("base64");
        const policy = [
          "default-src 'none'",
          `script-src 'sha256-${hash}'`,
          "style-src 'unsafe-inline'",
          "img-src data:",
          "connect-src 'self'",
          "base-uri 'none'",
          "form-action 'none'",
        ].join("; ");
        const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}" />`;
        page.source = page.source.replace('<meta charset="utf-8" />', (charset) => `${charset}\n    ${meta}`);
        if (!page.source.includes(meta)) this.error("index.html has no charset to put the policy behind");
      },
    },
  };
}

export default defineConfig({
  plugins: [svelte(), viteSingleFile({ removeViteModuleLoader: true }), contentSecurityPolicy()],
  build: { target: "es2022", modulePreload: false, reportCompressedSize: false },
  // Tests mount components, so they need Svelte's browser half.
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  test: { environment: "happy-dom", include: ["src/**/*.test.ts"] },
});
