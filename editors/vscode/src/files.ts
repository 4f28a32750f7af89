// The files that ktl-lsp is asked about, and those that it is started for. By name and not by language: other extensions
// give a chart's files languages of their own.

import type { DocumentFilter } from "vscode";

interface FileFilter extends DocumentFilter {
  scheme: string;
  pattern: string;
}

const named = (patterns: string[]): FileFilter[] => patterns.map((pattern) => ({ scheme: "file", pattern }));

/** A release may name any YAML file as its values, `envs/prod.yaml` too. Which ones are, the server knows. */
export const files = named(["**/*.{yaml,yml}", "**/templates/**/*.{tpl,txt}"]);

/** Where one of these is open there are releases: most YAML is none of our business. */
export const telling = named([
  "**/.ktl.yaml",
  "**/{stack,release}.yaml",
  "**/Chart.yaml",
  "**/*values*.{yaml,yml}",
]);
