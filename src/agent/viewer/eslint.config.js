import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";

import svelteConfig from "./svelte.config.js";

const typed = ["src/**/*.ts", "src/**/*.svelte"];

export default ts.config(
  { ignores: ["dist", "node_modules"] },
  js.configs.recommended,
  { files: ["*.ts"], extends: [ts.configs.base] },
  ...ts.configs.strictTypeChecked.map((config) => ({ ...config, files: typed })),
  ...svelte.configs.recommended,
  {
    files: typed,
    languageOptions: {
      globals: globals.browser,
      parserOptions: {
        project: "./tsconfig.json",
        extraFileExtensions: [".svelte"],
        parser: ts.parser,
        svelteConfig,
      },
    },
    rules: {
      // Everything a frame says is text. The page's promise that none of it becomes HTML starts here.
      "svelte/no-at-html-tags": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "what a frame says is text, never HTML" },
        { property: "outerHTML", message: "what a frame says is text, never HTML" },
        { property: "insertAdjacentHTML", message: "what a frame says is text, never HTML" },
      ],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
    },
  },
  {
    // The tests ask what the page became, so they read the HTML that the page may not write.
    files: ["src/**/*.test.ts"],
    rules: { "no-restricted-properties": "off" },
  },
  { files: ["*.js", "*.ts", "scripts/**"], languageOptions: { globals: globals.node } },
);
