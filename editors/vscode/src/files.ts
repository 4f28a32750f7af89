// The files that ktl-lsp is asked about. By name and not by language: other extensions give a chart's files
// languages of their own, and most YAML files are none of our business.

import type { DocumentFilter } from "vscode";

const PATTERNS = [
  "**/.ktl.yaml",
  "**/{stack,release}.yaml",
  "**/*values*.{yaml,yml}",
  "**/Chart.yaml",
  "**/templates/**/*.{yaml,yml,tpl,txt}",
];

export const files: (DocumentFilter & { scheme: string; pattern: string })[] = PATTERNS.map((pattern) => ({
  scheme: "file",
  pattern,
}));
